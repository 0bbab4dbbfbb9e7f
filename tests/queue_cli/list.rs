//! What does `sealpost queue list` show?
use crate::kit::Queue;

#[test]
fn look() {
    let (queue, _) = Queue::scene();
    for args in [&["list"][..], &["list", "--all"], &["list", "--all", "--json"], &["show", "01"], &["list", "--held"]] {
        let run = queue.ask(args);
        println!("{args:?} {}\n{}\n--\n{}", run.code, run.stdout, run.stderr);
    }
    let run = queue.sendmail(&["-bp"]);
    println!("{} \n{}\n--\n{}", run.code, run.stdout, run.stderr);
    let id = queue.ids(sealpost::host::spool::Place::Queue)[0].clone();
    let run = queue.ask(&["show", &id]);
    println!("{} \n{}\n--\n{}", run.code, run.stdout, run.stderr);
}
