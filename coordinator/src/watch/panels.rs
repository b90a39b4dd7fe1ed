//! The jobs, the selected one in figures, the workers, the events.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Table, TableState, Wrap},
};
use twinspire_proto::v1;

use super::state::State;
use crate::display::{clock, duration, number};

/// The list of jobs.
pub(super) fn jobs(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let block = Block::bordered().title(format!(" jobs ({}) ", state.jobs.len()));
    if state.jobs.is_empty() {
        let text = "there are no jobs; `coordinator submit JOB.YAML` gives this coordinator one";
        frame.render_widget(Paragraph::new(text).dim().block(block), area);
        return;
    }
    let rows = state.jobs.iter().map(|job| {
        let training = training(job);
        let total = job.started.as_ref().map_or(0, |started| started.total_steps);
        Row::new([
            Cell::from(job.name.clone()),
            Cell::from(job.phase.clone()).style(colour(&job.phase)),
            Cell::from(training.map_or(String::new(), |it| format!("{}/{}", number(it.step), number(total)))),
            Cell::from(training.map_or(String::new(), |it| format!("{:.4}", it.loss))),
            Cell::from(training.map_or(String::new(), |it| number(it.rows_per_second as u64))),
            Cell::from(eta(job)),
            Cell::from(format!("{}/{}", job.workers.len(), job.max_workers)),
            Cell::from(job.reason.clone()),
        ])
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Length(10),
        Constraint::Length(15),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Fill(3),
    ];
    let header = ["NAME", "PHASE", "STEP", "LOSS", "ROWS/S", "ETA", "WORKERS", "REASON"];
    let table = Table::new(rows, widths)
        .header(Row::new(header).dim())
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(block);
    let mut selected = TableState::default().with_selected(state.index());
    frame.render_stateful_widget(table, area, &mut selected);
}

/// The selected job in figures.
pub(super) fn summary(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(job) = state.job() else {
        frame.render_widget(Block::bordered(), area);
        return;
    };
    let since = Duration::from_millis(state.now_ms.saturating_sub(job.since_ms));
    let what = Line::from(vec![
        Span::styled(job.phase.clone(), colour(&job.phase)),
        Span::raw(format!(" for {}: {}", duration(since), job.reason)),
    ]);
    let block = Block::bordered().title(format!(" {} ", job.name));
    frame.render_widget(Paragraph::new(vec![what, Line::from(figures(job))]).block(block), area);
}

fn figures(job: &v1::Job) -> String {
    let mut parts = Vec::new();
    match (training(job), &job.progress) {
        (Some(it), _) => {
            let total = job.started.as_ref().map_or(0, |started| started.total_steps);
            parts.push(format!("step {}/{}", number(it.step), number(total)));
            parts.push(format!("epoch {:.1}", it.epoch));
            parts.push(format!("{} rows/s", number(it.rows_per_second as u64)));
            if job.eta_ms.is_some() {
                parts.push(format!("ETA {}", eta(job)));
            }
        }
        (None, Some(it)) if it.total > 0 => {
            parts.push(format!("{}: {} of {} {}", it.stage, number(it.done), number(it.total), it.unit));
        }
        (None, Some(it)) => parts.push(it.stage.clone()),
        (None, None) => {}
    }
    if let Some(it) = &job.validated {
        parts.push(format!("{} {:.4} at step {}", it.metric, it.value, number(it.step)));
    }
    if let Some(step) = job.checkpoint_step {
        parts.push(format!("checkpoint {}", number(step)));
    }
    if let Some(why) = &job.failure {
        parts.push(format!("[{}] {}", why.code, why.message));
    }
    parts.join("   ")
}

/// The workers: those of the selected job first, by rank.
pub(super) fn workers(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let block = Block::bordered().title(format!(" workers ({}) ", state.workers.len()));
    let selected = state.selected.as_deref();
    let mut workers: Vec<&v1::Worker> = state.workers.iter().collect();
    workers
        .sort_by_key(|it| (Some(it.job.as_str()) != selected, it.job.is_empty(), &it.job, it.rank, &it.name));
    let rows = workers.into_iter().map(|it| {
        let lanes = it.rank.map_or(String::new(), |_| format!("{}..{}", it.first_lane, it.end_lane));
        let row = Row::new([
            it.name.clone(),
            it.state.clone(),
            it.rank.map_or(String::new(), |rank| rank.to_string()),
            lanes,
            it.device.clone(),
            it.job.clone(),
        ]);
        if Some(it.job.as_str()) == selected { row } else { row.dim() }
    });
    let widths = [
        Constraint::Fill(3),
        Constraint::Length(8),
        Constraint::Length(4),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Fill(2),
    ];
    let header = Row::new(["NAME", "STATE", "RANK", "LANES", "DEVICE", "JOB"]).dim();
    frame.render_widget(Table::new(rows, widths).header(header).block(block), area);
}

/// The newest events of the selected job, the newest at the top.
pub(super) fn events(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let lines = state.events.iter().rev().take(usize::from(area.height)).map(|event| {
        Line::from(vec![
            Span::raw(clock(event.at_ms, state.now_ms)).dim(),
            Span::raw(format!("  {:<10} ", event.kind)),
            Span::raw(event.message.clone()),
        ])
    });
    let block = Block::bordered().title(" events ");
    let text = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false }).block(block);
    frame.render_widget(text, area);
}

fn training(job: &v1::Job) -> Option<&v1::TrainingProgress> {
    job.progress.as_ref()?.training.as_ref()
}

fn eta(job: &v1::Job) -> String {
    job.eta_ms.map_or(String::new(), |eta| duration(Duration::from_millis(eta)))
}

fn colour(phase: &str) -> Style {
    Style::new().fg(match phase {
        "running" | "preparing" | "evaluating" | "exporting" => Color::Green,
        "pending" | "paused" => Color::Yellow,
        "failed" => Color::Red,
        "cancelled" => Color::Magenta,
        _ => Color::Cyan,
    })
}
