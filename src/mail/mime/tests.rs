//! Is re-encoded what must be, and nothing that was signed?

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::mail::content::Form;

fn recode_chunks(chunks: &[&[u8]], form: Form) -> Result<Vec<u8>, Refused> {
    let mut survey = Survey::new();
    for chunk in chunks {
        survey.feed(chunk);
    }
    let mut recoder = Recoder::new(survey.finish()?, form);
    let mut out = Vec::new();
    for chunk in chunks {
        recoder.feed(chunk, &mut out)?;
    }
    recoder.finish(&mut out)?;
    Ok(out)
}

fn recode(input: &str, form: Form) -> Result<String, Refused> {
    recode_bytes(input.as_bytes(), form)
}

fn recode_bytes(input: &[u8], form: Form) -> Result<String, Refused> {
    let out = recode_chunks(&[input], form)?;
    Ok(String::from_utf8(out).unwrap().replace("\r\n", "\n"))
}

#[test]
fn plain_text_gets_the_fields_it_lacks() {
    let mime = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n";
    assert_eq!(recode("To: a\n\nfür\n.\n", Form::SevenBit).unwrap(), format!("To: a\n{mime}\nf=C3=BCr\n=2E\n"));
    assert_eq!(
        recode_bytes(b"To: a\n\nf\xfcr\n", Form::SevenBit).unwrap(),
        format!("To: a\n{}\nf=FCr\n", mime.replace("utf-8", "unknown-8bit"))
    );
    let long = "a".repeat(999);
    let out = recode(&format!("To: a\n\n{long}\n"), Form::EightBit).unwrap();
    assert!(out.starts_with(&format!("To: a\n{}\n", mime.replace("utf-8", "us-ascii"))), "{out}");
    assert_eq!(out.split_once("\n\n").unwrap().1.replace("=\n", ""), format!("{long}\n"));
}

#[test]
fn what_fits_keeps_its_bytes() {
    let fits = [
        format!("To: a\n\n{}\n", "ü".repeat(499)),
        "Content-Type: multipart/signed; boundary=b\n\n--b\n\nü\n--b\n\nsig\n--b--\n".to_owned(),
        "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npre\n--b\nno header\n--b--\n".to_owned(),
    ];
    for input in fits {
        assert_eq!(recode(&input, Form::EightBit).unwrap(), input);
    }
}

#[test]
fn an_encoding_that_is_named_is_replaced_with_its_folds() {
    let input = "MIME-Version: 1.0\ncontent-transfer-encoding:\n 8bit\nContent-Type: text/html; charset=latin1\nX: y\n\nü\n";
    assert_eq!(
        recode(input, Form::SevenBit).unwrap(),
        "MIME-Version: 1.0\nContent-Type: text/html; charset=latin1\nX: y\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n"
    );
}

#[test]
fn only_the_parts_that_need_it_change() {
    let input = "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"o\"\nContent-Transfer-Encoding: 8bit\n\npreamble ü\n\
        --o\nContent-Type: multipart/alternative; boundary=i\n\n\
        --i\n\nplain = ascii \n--i\nContent-Type: text/html\nContent-Transfer-Encoding: 8bit\n\n<ü>\n--i--\nepilogue\n\
        --o \nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n\
        --o\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Transfer-Encoding: binary\n\ninner ü\n\
        --o\nContent-Disposition: attachment; filename=\"ü ß.txt\"\n\nx\n--o--\nbye ü\n";
    let want = "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"o\"\n\npreamble ??\n\
        --o\nContent-Type: multipart/alternative; boundary=i\n\n\
        --i\n\nplain = ascii \n--i\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<=C3=BC>\n--i--\nepilogue\n\
        --o \nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n\
        --o\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Transfer-Encoding: quoted-printable\n\ninner =C3=BC\n\
        --o\nContent-Disposition: attachment; filename=\"=?utf-8?Q?=C3=BC?= =?utf-8?Q?=C3=9F.txt?=\"\n\nx\n--o--\nbye ??\n";
    assert_eq!(recode(input, Form::SevenBit).unwrap(), want);
    assert_eq!(recode(input, Form::EightBit).unwrap(), input);
}

#[test]
fn a_part_without_header_or_empty_line_is_still_understood() {
    let head = "Content-Type: multipart/mixed; boundary=b\n\n";
    let coding = "Content-Transfer-Encoding: quoted-printable\n\n";
    let table = [
        ("--b\nü text\n--b--\n", format!("--b\n{coding}=C3=BC text\n--b--\n")),
        ("--b\nX: y\nü text\n--b--\n", format!("--b\nX: y\n{coding}=C3=BC text\n--b--\n")),
        ("--b\nX: y\n--b\n\nü", format!("--b\nX: y\n--b\n{coding}=C3=BC\n")),
        ("--b\n\n--bx ü\n--b-- ", format!("--b\n{coding}--bx =C3=BC\n--b-- \n")),
    ];
    for (body, want) in table {
        assert_eq!(recode(&format!("{head}{body}"), Form::SevenBit).unwrap(), format!("{head}{want}"), "{body}");
    }
}

#[test]
fn parts_of_a_digest_are_messages() {
    let input = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nü\n--b--\n";
    let want = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n--b--\n";
    assert_eq!(recode(input, Form::SevenBit).unwrap(), want);
}

#[test]
fn base64_in_one_line_is_wrapped_and_quoted_printable_mended() {
    let long = "QUJD".repeat(300);
    let out = recode(&format!("Content-Transfer-Encoding: base64\n\n{long}\n"), Form::EightBit).unwrap();
    let (head, body) = out.split_once("\n\n").unwrap();
    assert_eq!(head, "Content-Transfer-Encoding: base64");
    assert!(body.lines().all(|l| l.len() <= 76) && body.replace('\n', "") == long);

    let input = "Content-Transfer-Encoding: quoted-printable\n\n=C3=BC and ü\n";
    assert_eq!(recode(input, Form::SevenBit).unwrap(), input.replace('ü', "=C3=BC"));
}

#[test]
fn what_must_not_change_is_refused() {
    let long = "a".repeat(999);
    let signed = |part: &str| format!("Content-Type: multipart/signed; boundary=b\n\n--b\n{part}\n--b\n\nsig\n--b--\n");
    let deep = |n: usize| -> String {
        let open = |i| format!("Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n");
        (0..n).map(open).chain(["\nü\n".to_owned()]).collect()
    };
    let table = [
        (signed("\nü"), Form::SevenBit),
        (signed(&format!("\n{long}")), Form::EightBit),
        (signed("Content-Transfer-Encoding: base64\n\nü"), Form::SevenBit),
        (signed("Content-Disposition: inline; filename=\"ü\"\n\nx"), Form::SevenBit),
        (signed("Content-Type: multipart/mixed; boundary=c\n\n--c\n\nü\n--c--"), Form::SevenBit),
        (signed("Content-Type: message/rfc822\n\nSubject: x\n\nü"), Form::SevenBit),
        (signed("\nx\0y"), Form::EightBit),
        (signed(&format!("Content-Type: multipart/mixed; boundary=c\n\n{long}\n--c--")), Form::EightBit),
        ("Content-Type: multipart/mixed\n\nü\n".to_owned(), Form::SevenBit),
        ("Content-Type: application/pkcs7-mime\n\nü\n".to_owned(), Form::SevenBit),
        ("Content-Transfer-Encoding: x-uuencode\n\nü\n".to_owned(), Form::SevenBit),
        ("To: ü@x\n\nx\n".to_owned(), Form::SevenBit),
        (format!("Content-Type: multipart/mixed; boundary=b\n\n--b\nX:{long}\n\nx\n--b--\n"), Form::EightBit),
        (format!("Content-Type: multipart/mixed; boundary=b\n\n--b\nX:{}\n\nx\n--b--\n", "a".repeat(70_000)), Form::EightBit),
        ("Content-Type: multipart/mixed; boundary=b\n\n".to_owned() + &"--b\n\nx\n".repeat(10_001), Form::EightBit),
        (deep(21), Form::SevenBit),
    ];
    for (input, form) in table {
        assert!(recode(&input, form).is_err(), "{}", &input[..input.len().min(200)]);
    }
    assert!(recode(&deep(20), Form::SevenBit).unwrap().ends_with("=C3=BC\n"));
}

#[test]
fn a_nul_is_dropped_from_text_and_kept_in_other_content() {
    assert_eq!(recode("Content-Type: text/plain\n\na\0b\n", Form::EightBit).unwrap(), "Content-Type: text/plain\n\nab\n");
    assert_eq!(
        recode("Content-Type: application/x\nMIME-Version: 1.0\n\na\0b\n", Form::EightBit).unwrap(),
        "Content-Type: application/x\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\na=00b\n"
    );
}

#[test]
fn a_long_boundary_line_or_preamble_is_broken_and_a_long_part_header_folded() {
    let long = "a".repeat(2500);
    let input =
        format!("Content-Type: multipart/mixed; boundary=b\n\n{long}\n--b\nX: {}\n\nx\n--b--\n{long}\n", "word ".repeat(300));
    let out = recode(&input, Form::EightBit).unwrap();
    assert!(out.lines().all(|l| l.len() <= 998));
    assert_eq!(out.replace(['\n', ' '], ""), input.replace(['\n', ' '], ""));
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"Content-Type: multipart/mixed; boundary=b\n",
        b"Content-Type: multipart/signed; boundary=\"c\"\n",
        b"Content-Type: text/plain\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Transfer-Encoding: 8bit\n",
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"--b\n",
        b"--b--\r\n",
        b"--c\n",
        b"--c--\n",
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b"\0",
        b"text ",
        b"\xc3\xbc",
        b"\xfc",
        b"=",
        b"From ",
        b".",
        b"X: y\n",
        b"To: \xfc\n",
        &[b'a'; 130],
        &[b'b'; 999],
    ];
    vec(select(pieces), 0..30).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn whatever_comes_in_fits_the_wire_afterwards(input in messages(), seven in any::<bool>(), cuts in vec(any::<usize>(), 0..4)) {
        let form = if seven { Form::SevenBit } else { Form::EightBit };
        let whole = recode_chunks(&[&input], form);
        if let Ok(out) = &whole {
            prop_assert!(!out.contains(&0) && (!seven || out.is_ascii()));
            prop_assert!(out.is_empty() || out.ends_with(b"\r\n"));
            for line in out.split(|c| *c == b'\n').filter(|l| !l.is_empty()) {
                prop_assert!(line.len() <= 999 && line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r'));
            }
            prop_assert_eq!(&recode_chunks(&[out], form).unwrap(), out, "done twice is done once: {}", input.escape_ascii());
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
        prop_assert_eq!(recode_chunks(&chunks, form), whole);
    }
}
