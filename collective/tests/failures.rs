//! What ranks see when something is wrong: an error that says so, soon, and a process that goes on.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ranks;

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ranks::{HOST, TIMEOUT, run};
use tandem_collective::{Error, ProcessGroup, RendezvousStore, cuda, tree_sum};
use tch::{Device, Kind, Tensor};

/// Two ranks with bodies of their own, which share a channel from rank 1 to rank 0, to order what happens outside of
/// the group.
fn run_two<T: Send>(
    timeout: Duration,
    zero: impl FnOnce(ProcessGroup, mpsc::Sender<()>) -> T + Send,
    one: impl FnOnce(ProcessGroup, mpsc::Receiver<()>) -> T + Send,
) -> [T; 2] {
    let server = RendezvousStore::listen(HOST, timeout).unwrap();
    let port = server.port();
    let group = move |rank| {
        let store = RendezvousStore::connect(HOST, port, timeout).unwrap();
        ProcessGroup::gloo(&store, "test", rank, 2, HOST, timeout).unwrap()
    };
    let (done, wait) = mpsc::channel();
    thread::scope(|scope| {
        let zero = scope.spawn(move || zero(group(0), done));
        let one = scope.spawn(move || one(group(1), wait));
        [zero.join().unwrap(), one.join().unwrap()]
    })
}

fn ones(sizes: &[i64]) -> Tensor {
    Tensor::ones(sizes, (Kind::Float, Device::Cpu))
}

fn invalid<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid(text)) => text,
        Err(other) => panic!("expected Invalid, got {other:?}"),
        Ok(_) => panic!("expected Invalid, got Ok"),
    }
}

fn unequal<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Unequal(text)) => text,
        Err(other) => panic!("expected Unequal, got {other:?}"),
        Ok(_) => panic!("expected Unequal, got Ok"),
    }
}

/// What rank 0 gets that was called wrongly, and the others, which were not.
fn refused<T>(zero: bool, result: Result<T, Error>) -> String {
    if zero { invalid(result) } else { unequal(result) }
}

/// After a disagreement the group must still add up.
fn still_works(group: &ProcessGroup) {
    let tensor = ones(&[2]);
    group.all_reduce_sum(&tensor).unwrap();
    assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), [2.0, 2.0]);
}

#[test]
fn unequal_calls_are_an_error_on_every_rank_and_the_group_goes_on() {
    run(2, TIMEOUT, |group| {
        let zero = group.rank() == 0;
        let text = unequal(group.all_reduce_sum(&ones(&[if zero { 3 } else { 4 }])));
        assert!(text.contains("Float [3]") && text.contains("Float [4]"), "{text}");
        still_works(&group);

        let kind = if zero { Kind::Float } else { Kind::Double };
        unequal(group.broadcast(&ones(&[2]).to_kind(kind), 0));
        unequal(group.broadcast(&ones(&[2]), group.rank()));
        unequal(group.all_gather(&ones(&[1 + i64::from(group.rank()), 2])));
        unequal(group.shard_sum(&ones(&[1 + i64::from(group.rank()), 2])));
        let text = unequal(if zero { group.barrier() } else { group.all_reduce_sum(&ones(&[2])) });
        assert!(text.contains("barrier") && text.contains("all_reduce_sum"), "{text}");
        unequal(tree_sum(&group, vec![ones(&[2 + i64::from(group.rank())])], 2));
        still_works(&group);
    });
}

#[test]
fn a_rank_that_refuses_its_arguments_does_not_leave_the_others_waiting() {
    run(2, TIMEOUT, |group| {
        let zero = group.rank() == 0;
        let text = refused(zero, group.all_reduce_sum(&if zero { ones(&[4]).slice(0, 0, 4, 2) } else { ones(&[2]) }));
        assert!(text.contains(if zero { "gaps" } else { "rank 0 has refused" }), "{text}");
        let text = refused(zero, group.shard_sum(&if zero { ones(&[]) } else { ones(&[2]) }));
        assert!(text.contains(if zero { "no rows" } else { "rank 0 has refused" }), "{text}");
        let text = refused(zero, tree_sum(&group, if zero { vec![] } else { vec![ones(&[2])] }, 2));
        assert!(text.contains(if zero { "0 parts" } else { "rank 0 has refused" }), "{text}");
        still_works(&group);
    });
}

#[test]
fn a_silent_peer_is_an_error_at_the_timeout_and_the_group_stays_lost() {
    let timeout = Duration::from_millis(500);
    let [elapsed, _] = run_two(
        timeout,
        |group, done| {
            let started = Instant::now();
            let error = group.all_reduce_sum(&ones(&[2])).unwrap_err();
            assert!(matches!(error, Error::Timeout(_)), "{error:?}");
            assert!(error.breaks_group());
            let elapsed = started.elapsed();
            assert_eq!(group.barrier(), Err(error));
            drop(group);
            done.send(()).unwrap();
            (elapsed, started.elapsed())
        },
        |group, wait| {
            wait.recv().unwrap();
            drop(group);
            Default::default()
        },
    );
    assert!(elapsed.0 >= timeout && elapsed.1 < timeout * 4, "{elapsed:?}");
}

#[test]
fn a_peer_that_left_is_lost() {
    let [error, _] = run_two(
        TIMEOUT,
        |group, done| {
            done.send(()).unwrap();
            group.barrier().unwrap_err()
        },
        |group, wait| {
            wait.recv().unwrap();
            group.abort();
            Error::Invalid(String::new())
        },
    );
    assert!(matches!(error, Error::PeerLost(_)), "{error:?}");
}

#[test]
fn a_peer_that_left_is_lost_to_a_backward_pass_too() {
    let gathered = |group: &ProcessGroup| {
        let rows = ones(&[1, 2]).set_requires_grad(true);
        let loss = group.shard_sum(&rows).unwrap().sum(Kind::Float);
        (rows, loss)
    };
    let [error, _] = run_two(
        TIMEOUT,
        |group, done| {
            let (rows, loss) = gathered(&group);
            done.send(()).unwrap();
            Error::from(Tensor::f_run_backward(&[loss], &[rows], false, false).unwrap_err())
        },
        |group, wait| {
            drop(gathered(&group));
            wait.recv().unwrap();
            group.abort();
            Error::Invalid(String::new())
        },
    );
    assert!(matches!(error, Error::PeerLost(_)), "{error:?}");
}

#[test]
fn nobody_at_the_rendezvous_is_a_clean_error() {
    let timeout = Duration::from_millis(500);
    // A port that was free a moment ago.
    let port = TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let error = RendezvousStore::connect(HOST, port, timeout).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(started.elapsed() >= timeout && started.elapsed() < timeout * 4, "{:?}", started.elapsed());
}

#[test]
fn a_peer_that_never_comes_is_an_error_at_the_timeout() {
    let timeout = Duration::from_millis(500);
    let store = RendezvousStore::listen(HOST, timeout).unwrap();
    let started = Instant::now();
    let error = ProcessGroup::gloo(&store, "test", 0, 2, HOST, timeout).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn addresses_and_ranks_that_do_not_exist_are_clean_errors() {
    // TEST-NET-3: never an address of this machine.
    let error = RendezvousStore::listen("203.0.113.1", TIMEOUT).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let store = RendezvousStore::listen(HOST, TIMEOUT).unwrap();
    let group = |rank, host| ProcessGroup::gloo(&store, "test", rank, 2, host, TIMEOUT).map(|_| ());
    assert!(group(0, "203.0.113.1").is_err());
    assert!(group(0, "no such host").is_err());
    assert!(invalid(group(2, HOST)).contains("rank 2"));
    assert!(invalid(RendezvousStore::listen(HOST, Duration::ZERO)).contains("timeout"));
}

#[test]
fn nccl_says_what_this_machine_lacks() {
    let loaded = cuda::load();
    let store = RendezvousStore::listen(HOST, TIMEOUT).unwrap();
    let group = ProcessGroup::nccl(&store, "test", 0, 2, 0, TIMEOUT).map(|_| ());
    match loaded {
        Ok(false) => {
            let error = group.unwrap_err();
            assert!(matches!(&error, Error::Unavailable(text) if text.contains("NVIDIA driver")), "{error:?}");
        }
        Ok(true) => assert_eq!(group.err(), None),
        Err(error) => assert!(error.to_string().contains("make setup"), "{error}"),
    }
    assert_eq!(cuda::load(), cuda::load());
}
