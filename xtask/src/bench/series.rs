//! Times measured again and again, and their line in a table.

use std::time::Duration;

/// Columns of a row's name.
const NAME: usize = 66;

/// Some times of the same thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series(Vec<Duration>);

impl Series {
    /// Adds one.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The one in the middle; of an even number the later. Zero when there is none.
    pub fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The names of the columns.
    pub fn heading() -> String {
        format!(
            "{:NAME$}{:>9}{:>9}{:>9}",
            "milliseconds", "min", "median", "max"
        )
    }

    /// A line of the table, in milliseconds.
    pub fn row(&self, name: &str) -> String {
        let column = |time: Option<Duration>| {
            let time = time.unwrap_or_default().as_secs_f64() * 1000.0;
            format!("{time:>9.1}")
        };
        format!(
            "{name:NAME$}{}{}{}",
            column(self.0.iter().min().copied()),
            column(Some(self.median())),
            column(self.0.iter().max().copied())
        )
    }
}

impl FromIterator<Duration> for Series {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        Self(times.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_least_the_middle_and_the_greatest() {
        let series: Series = [30, 10, 20]
            .map(Duration::from_millis)
            .into_iter()
            .collect();
        assert_eq!(series.median(), Duration::from_millis(20));
        let row = series.row("x");
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["x", "10.0", "20.0", "30.0"]
        );
        assert_eq!(row.len(), Series::heading().len());
    }
}
