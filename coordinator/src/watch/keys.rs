//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::State;

/// What follows from a key, beyond what it changed on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Quit,
    /// Something is asked of the coordinator.
    Ask(Ask),
}

/// What is asked of the coordinator: something about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Pause(String),
    Resume(String),
    Cancel(String),
}

/// What a key does.
pub(super) fn act(state: &mut State, key: KeyEvent) -> Act {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return Act::Quit;
    }
    if let Some(job) = state.asking.take() {
        let sure = matches!(key.code, KeyCode::Char('y' | 'Y'));
        return if sure { Act::Ask(Ask::Cancel(job)) } else { Act::Nothing };
    }
    state.said = None;
    let selected = state.job().map(|job| job.name.clone());
    match (key.code, selected) {
        (KeyCode::Char('q') | KeyCode::Esc, _) => return Act::Quit,
        (KeyCode::Char('j') | KeyCode::Down, _) => state.step(1),
        (KeyCode::Char('k') | KeyCode::Up, _) => state.step(-1),
        (KeyCode::Char('p'), Some(job)) => return Act::Ask(Ask::Pause(job)),
        (KeyCode::Char('r'), Some(job)) => return Act::Ask(Ask::Resume(job)),
        (KeyCode::Char('c'), Some(job)) => state.asking = Some(job),
        _ => {}
    }
    Act::Nothing
}

#[cfg(test)]
mod tests {
    use twinspire_proto::v1;

    use super::*;

    fn state() -> State {
        let job = |name: &str| v1::Job { name: name.into(), ..Default::default() };
        State { jobs: vec![job("a"), job("b")], selected: Some("a".into()), ..State::default() }
    }

    fn press(state: &mut State, key: char) -> Act {
        act(state, KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE))
    }

    #[test]
    fn a_job_is_cancelled_only_after_a_yes() {
        let mut state = state();
        assert_eq!(press(&mut state, 'c'), Act::Nothing);
        assert_eq!(state.asking.as_deref(), Some("a"));
        assert_eq!(press(&mut state, 'n'), Act::Nothing);
        assert_eq!(state.asking, None);
        assert_eq!(press(&mut state, 'c'), Act::Nothing);
        assert_eq!(press(&mut state, 'y'), Act::Ask(Ask::Cancel("a".into())));
        assert_eq!(state.asking, None);
    }

    #[test]
    fn the_selected_job_is_paused_and_resumed() {
        let mut state = state();
        assert_eq!(press(&mut state, 'j'), Act::Nothing);
        assert_eq!(press(&mut state, 'p'), Act::Ask(Ask::Pause("b".into())));
        assert_eq!(press(&mut state, 'k'), Act::Nothing);
        assert_eq!(press(&mut state, 'r'), Act::Ask(Ask::Resume("a".into())));
        assert_eq!(press(&mut State::default(), 'p'), Act::Nothing);
    }

    #[test]
    fn control_c_and_q_leave_even_while_a_question_is_open() {
        let mut state = state();
        assert_eq!(press(&mut state, 'q'), Act::Quit);
        assert_eq!(press(&mut state, 'c'), Act::Nothing);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(act(&mut state, key), Act::Quit);
    }
}
