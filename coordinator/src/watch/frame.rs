//! State -> frame.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{chart, panels, state::State};

/// Rows of the list of jobs at most, its frame and header included.
const JOBS: u16 = 12;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let jobs = (state.jobs.len() as u16).saturating_add(3).clamp(4, JOBS);
    let [top, summary, middle, bottom, foot] = Layout::vertical([
        Constraint::Length(jobs),
        Constraint::Length(4),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(middle);
    panels::jobs(frame, top, state);
    panels::summary(frame, summary, state);
    let total = state.job().and_then(|job| job.started.as_ref()).map_or(0, |started| started.total_steps);
    chart::draw(frame, left, &state.losses, total);
    panels::workers(frame, right, state);
    panels::events(frame, bottom, state);
    footer(frame, foot, state);
}

fn footer(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let line = if let Some(job) = &state.asking {
        let question = format!(" cancel {job}? its newest checkpoint stays   y yes   any other key no");
        Line::from(Span::styled(question, Style::new().fg(Color::Black).bg(Color::Yellow)))
    } else if let Some(why) = &state.lost {
        let text = format!(" the connection is lost ({why}); this is old; trying again   q quit");
        Line::from(Span::styled(text, Style::new().fg(Color::Red)))
    } else if let Some(said) = &state.said {
        Line::from(format!(" {said}")).bold()
    } else {
        Line::from(" ↑↓ jk select   p pause   r resume   c cancel   q quit").dim()
    };
    frame.render_widget(Paragraph::new(line), area);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use ratatui::{Terminal, backend::TestBackend};
    use twinspire_proto::v1;

    use super::*;

    fn screen(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let row = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        (0..height).map(|y| row(y) + "\n").collect()
    }

    fn state() -> State {
        let training = v1::TrainingProgress {
            step: 1200,
            epoch: 2.7,
            loss: 3.2198,
            rows_per_second: 12_345.0,
            learning_rate: 1e-3,
            spent: None,
        };
        let running = v1::Job {
            name: "beauty".into(),
            phase: "running".into(),
            reason: "generation 2 on 2 workers".into(),
            workers: vec!["node-1".into(), "node-2".into()],
            max_workers: 4,
            lanes: 8,
            eta_ms: Some(320_000),
            started: Some(v1::TrainingStarted { total_steps: 4400, ..Default::default() }),
            progress: Some(v1::Progress { training: Some(training), ..Default::default() }),
            validated: Some(v1::Validated {
                metric: "NDCG@10".into(),
                value: 0.0421,
                step: 1000,
                ..Default::default()
            }),
            ..Default::default()
        };
        let waiting = v1::Job {
            name: "sports".into(),
            phase: "pending".into(),
            reason: "waiting for 2 more workers".into(),
            ..Default::default()
        };
        let worker = |name: &str, rank: u32| v1::Worker {
            name: name.into(),
            state: "busy".into(),
            device: "cuda:0".into(),
            job: "beauty".into(),
            rank: Some(rank),
            first_lane: rank * 4,
            end_lane: rank * 4 + 4,
            ..Default::default()
        };
        let losses =
            (1..=100).map(|step| v1::LossPoint { step: step * 12, loss: 7.0 / f64::from(step as u32) });
        let event = v1::JobEvent {
            sequence: 1,
            at_ms: 0,
            kind: "checkpoint".into(),
            message: "checkpoint of step 1000".into(),
            took_ms: None,
        };
        State {
            jobs: vec![running, waiting],
            workers: vec![worker("node-2", 1), worker("node-1", 0)],
            selected: Some("beauty".into()),
            losses: losses.collect(),
            events: [event].into(),
            ..State::default()
        }
    }

    #[test]
    fn everything_about_the_selected_job_is_on_the_screen() {
        let screen = screen(&state(), 120, 40);
        let there = [
            "beauty",
            "running",
            "generation 2 on 2 workers",
            "1,200/4,400",
            "12,345",
            "5m 20s",
            "3.2198",
            "NDCG@10 0.0421",
            "waiting for 2 more workers",
            "node-1",
            "0..4",
            "4..8",
            "checkpoint of step 1000",
            "q quit",
            "loss 0.0700 at step 1,200",
        ];
        for text in there {
            assert!(screen.contains(text), "{text} is missing:\n{screen}");
        }
        assert!(screen.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "no curve:\n{screen}");
        // By rank, whatever order they come in.
        assert!(screen.find("node-1 ") < screen.find("node-2 "), "{screen}");
    }

    #[test]
    fn a_question_a_loss_of_connection_and_an_answer_are_at_the_bottom() {
        let mut state = state();
        state.said = Some("beauty: pausing".into());
        assert!(screen(&state, 100, 30).contains("beauty: pausing"));
        state.lost = Some("connection refused".into());
        assert!(screen(&state, 100, 30).contains("the connection is lost (connection refused)"));
        state.asking = Some("beauty".into());
        assert!(screen(&state, 100, 30).contains("cancel beauty?"));
    }

    #[test]
    fn it_can_be_drawn_at_any_size_and_with_nothing_to_show() {
        for (width, height) in [(1, 1), (10, 3), (40, 12), (300, 100)] {
            screen(&state(), width, height);
            screen(&State::default(), width, height);
        }
        assert!(screen(&State::default(), 100, 30).contains("there are no jobs"));
    }
}
