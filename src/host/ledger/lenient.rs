//! What of a value can be used that may have any type? (a later version, or another program, wrote it)

use std::{fmt, marker::PhantomData, net::IpAddr};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A value as far as it is simple.
enum Scalar {
    Text(String),
    Number(u64),
    Flag(bool),
    Other,
}

/// A string; a number stands for its digits.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match deserializer.deserialize_any(Any)? {
        Scalar::Text(text) => Some(text),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Flag(_) | Scalar::Other => None,
    })
}

/// A whole number in the range of its type.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    Ok(match deserializer.deserialize_any(Any)? {
        Scalar::Number(number) => u16::try_from(number).ok(),
        _ => None,
    })
}

/// Whether it is true.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(matches!(deserializer.deserialize_any(Any)?, Scalar::Flag(true)))
}

/// An IP address.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.parse().ok()))
}

/// An object; what is none has nothing in it.
pub(super) fn flat<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Object(PhantomData))
}

/// The objects of a list; what is none has nothing in it.
pub(super) fn list<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List(PhantomData))
}

/// Methods of a visitor that take each simple value for `$value`.
macro_rules! simple {
    ($($method:ident($type:ty)),* => $value:expr) => {$(
        fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok($value)
        }
    )*};
}

/// Methods of a visitor that read a compound value to its end and forget it.
macro_rules! passed_over {
    (seq => $value:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
    (map => $value:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    simple!(visit_i64(i64), visit_f64(f64) => Scalar::Other);
    passed_over!(seq => Scalar::Other);
    passed_over!(map => Scalar::Other);
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    simple!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str) => T::default());
    passed_over!(seq => T::default());
}

/// One element of a list.
struct Element<T>(T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        flat(deserializer).map(Self)
    }
}

struct List<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned + Default> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(Element(element)) = seq.next_element()? {
            list.push(element);
        }
        Ok(list)
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    simple!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str) => Vec::new());
    passed_over!(map => Vec::new());
}
