//! How does what the service took leave again, while others go on handing in? (a run of the queue on threads of its own)

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::generation::Generation;
use crate::{
    cmd::{
        caller::{ErrorMode, complain},
        runner::{Runner, Setting, Until, Wish},
    },
    host::{journal::Id, narrate::Narrator, spool::Spool, world::World},
};

/// What waits to be told to the run; more is found in the queue.
const ORDERS: usize = 1024;
/// How long until a run that could not begin is begun again.
const REST: Duration = Duration::from_secs(5);

/// What a run is told.
enum Order {
    Offer(Id, String),
    Look,
    Hurry,
    Stop,
}

/// The way out of the queue.
#[derive(Debug)]
pub(super) struct Post {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
}

impl Post {
    /// Begins to send what is due.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(world: &'static dyn World, generation: Arc<Generation>, spool: Arc<Spool>) -> io::Result<Self> {
        let (orders, heard) = sync_channel(ORDERS);
        let thread = thread::Builder::new().name("post".to_owned()).spawn(move || work(world, &generation, &spool, &heard))?;
        Ok(Self { orders, thread })
    }

    /// A message was added, and its claim dropped. Where the run is too busy to hear it sees it in the queue.
    pub(super) fn offer(&self, id: Id, account: &str) {
        let _ = self.orders.try_send(Order::Offer(id, account.to_owned()));
    }

    /// The queue was changed.
    pub(super) fn look(&self) {
        let _ = self.orders.try_send(Order::Look);
    }

    /// A person wants what waits to be tried now.
    pub(super) fn hurry(&self) {
        let _ = self.orders.try_send(Order::Hurry);
    }

    /// No new message is begun.
    pub(super) fn stop(&self) {
        // A run that has ended hears nothing.
        let _ = self.orders.send(Order::Stop);
    }

    /// Whether all that was under way has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until all that is under way has ended.
    pub(super) fn join(self) {
        let _ = self.thread.join();
    }
}

fn work(world: &'static dyn World, generation: &Generation, spool: &Spool, orders: &Receiver<Order>) {
    let narrator = Narrator::default();
    let setting = Setting { world, config: &generation.config, spool, journal: &generation.journal, narrator: &narrator };
    let runner = loop {
        match Runner::new(setting, Wish::default()) {
            Ok(runner) => break runner,
            Err(error) => drop(complain("sealpost", ErrorMode::Print, &error)),
        }
        if let Ok(Order::Stop) = orders.recv_timeout(REST) {
            return;
        }
    };
    thread::scope(|scope| {
        let running = thread::Builder::new().name("run".to_owned()).spawn_scoped(scope, || {
            // Without the lead it works all the same, and takes it when it is free.
            let lead = spool.lead().ok().flatten();
            runner.run(lead, Until::Stopped);
        });
        if let Err(error) = running {
            complain("sealpost", ErrorMode::Print, &super::unable("starting a run of the queue", &error));
        }
        for order in orders {
            match order {
                Order::Offer(id, account) => runner.offer(id, &account),
                Order::Look => runner.poke(),
                Order::Hurry => runner.hurry(),
                Order::Stop => break,
            }
        }
        runner.stop();
    });
}
