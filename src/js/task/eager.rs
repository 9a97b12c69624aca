//! A future that is begun on the thread that has it, and goes on where timers are. So a write that waits for the flush of its
//! directory joins that at once, and tokio's thread is woken by the flush alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use tokio::runtime::Handle;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Looks at `task` once, here, and has `runtime` go on with it when it is woken.
pub fn begin(runtime: &Handle, mut task: Task) {
    let asleep = Arc::new(Asleep { state: Mutex::new(State::Looking), runtime: runtime.clone() });
    let waker = Waker::from(asleep.clone());
    let is_over = {
        let _timers = runtime.enter();
        task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    };
    if !is_over {
        asleep.sleep(task);
    }
}

struct Asleep {
    state: Mutex<State>,
    runtime: Handle,
}

enum State {
    /// It is being looked at.
    Looking,
    Asleep(Task),
    Woken,
}

impl Asleep {
    fn sleep(&self, task: Task) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Looking => *state = State::Asleep(task),
            // It was woken while it was looked at.
            State::Asleep(_) | State::Woken => drop(self.runtime.spawn(task)),
        }
    }
}

impl Wake for Asleep {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Woken);
        drop(state);
        if let State::Asleep(task) = before {
            self.runtime.spawn(task);
        }
    }
}
