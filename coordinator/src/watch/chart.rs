//! The loss curve.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style, Stylize},
    symbols::Marker,
    text::Line,
    widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph},
};
use twinspire_proto::v1;

use crate::display::number;

/// Draws the loss by step; the axis goes to the last step there will be.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, losses: &[v1::LossPoint], total_steps: u64) {
    let (Some(first), Some(last)) = (losses.first(), losses.last()) else {
        let block = Block::bordered().title(" loss ");
        let text = "none seen since this coordinator leads";
        frame.render_widget(Paragraph::new(text).dim().block(block), area);
        return;
    };
    let points: Vec<(f64, f64)> = losses.iter().map(|point| (point.step as f64, point.loss)).collect();
    let [low, high] = bounds(losses);
    let end = total_steps.max(last.step).max(first.step + 1);
    let x = Axis::default()
        .style(Style::new().dim())
        .bounds([first.step as f64, end as f64])
        .labels([Line::from(number(first.step)), Line::from(number(end))]);
    let y = Axis::default()
        .style(Style::new().dim())
        .bounds([low, high])
        .labels([low, (low + high) / 2.0, high].map(|loss| Line::from(format!("{loss:.3}"))));
    let curve = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(Style::new().fg(Color::Cyan))
        .data(&points);
    let title = format!(" loss {:.4} at step {} ", last.loss, number(last.step));
    let block = Block::bordered().title(title);
    frame.render_widget(Chart::new(vec![curve]).block(block).x_axis(x).y_axis(y), area);
}

/// Lowest and highest loss, with some room.
fn bounds(losses: &[v1::LossPoint]) -> [f64; 2] {
    let low = losses.iter().map(|point| point.loss).fold(f64::INFINITY, f64::min);
    let high = losses.iter().map(|point| point.loss).fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.05).max(1e-3);
    [low - room, high + room]
}
