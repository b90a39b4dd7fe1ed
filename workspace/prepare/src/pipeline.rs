//! The steps from a log to a dataset, in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use twinspire_dataset::format::{
    ActionInfo, DroppedRows, FORMAT_VERSION, FeatureInfo, FileInfo, MANIFEST, Manifest, ManifestFile, Notes,
    REJECTS, ShardInfo, timelines_schema_of,
};
use twinspire_job::{ActionSpec, CatalogueSpec, ItemScope, JobSpec, LogSpec, SplitSpec};
use twinspire_storage::Location;

use crate::catalogue::{self, Catalogue, Collector, write_items};
use crate::clean::{Cleaner, NameTable, Roles, TimeCensus, UNKNOWN_SURFACE};
use crate::dictionary::SharedDictionary;
use crate::fingerprint::fingerprint;
use crate::input::{InputFile, Part, resolve};
use crate::items::Items;
use crate::progress::{Meter, Phase, Progress};
use crate::rejects::{Cause, Rejects};
use crate::shuffle::{Finals, Shuffle};
use crate::source::{OpenFile, Request, Source};
use crate::split::Split;
use crate::timelines::{Census, Dropped, Rules, Totals, census, common_items};
use crate::write::{CheckedFile, Staging, Target, write_timelines};
use crate::{PrepareError, Prepared};

/// Most bytes of a row of text.
const ROW_LIMIT: usize = 64 << 20;
/// Items listed in the manifest.
const TOP_ITEMS: usize = 20;
/// The action of logs that do not say.
const ENGAGE: &str = "engage";

/// All that a run needs to know.
pub(crate) struct Run {
    pub(crate) spec: JobSpec,
    pub(crate) runs: Location,
    pub(crate) tell: Arc<dyn Fn(Progress) + Send + Sync>,
    pub(crate) threads: usize,
    /// Set when nobody waits for the result any more.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Everything that was opened and checked before the first row was read.
struct Opened {
    source: Arc<Source>,
    files: Vec<Arc<OpenFile>>,
    roles: Roles,
    rejects: Arc<Rejects>,
    split: Split,
    catalogue: Option<OpenedCatalogue>,
}

struct OpenedCatalogue {
    spec: CatalogueSpec,
    source: Arc<Source>,
    files: Vec<Arc<OpenFile>>,
}

/// The log, read.
struct Log {
    shuffle: Arc<Shuffle>,
    finals: Arc<Finals>,
    actions: Vec<ActionInfo>,
    surfaces: Vec<String>,
    rows_read: u64,
    filtered: u64,
}

/// What was written.
#[derive(Default)]
struct Written {
    shards: Vec<ShardInfo>,
    files: Vec<FileInfo>,
    features: Vec<FeatureInfo>,
}

impl Run {
    /// Prepares the dataset, or finds it.
    pub(crate) async fn run(self) -> Result<Prepared, PrepareError> {
        let inputs = self.inputs().await?;
        let fingerprint = fingerprint(&self.spec, &inputs);
        let target = self.runs.join("datasets").join(&fingerprint);
        if target.exists(MANIFEST).await? {
            let json = target.get(MANIFEST).await?;
            let manifest = Manifest::from_json(target.uri(), &json)?;
            let Notes { warnings } = Notes::from_json(target.uri(), &json)?;
            return Ok(Prepared { location: target, manifest, reused: true, warnings });
        }
        let meter = Meter::new(Arc::clone(&self.tell), inputs.iter().map(|file| file.size).sum());
        let opened = self.open(&inputs, &meter).await?;
        let staging = Staging::begin(&target, &fingerprint)?;
        let log = self.read(&opened, &staging).await?;

        let sorting = meter.phase(Phase::Sorting);
        let common = match self.spec.log.min_item_actions {
            0 | 1 => None,
            least => Some(common_items(&log.shuffle, &log.finals, least, self.threads)?),
        };
        let rules = Arc::new(Rules {
            split: opened.split,
            positive: log.actions.iter().map(|action| action.positive).collect(),
            min_user_actions: self.spec.log.min_user_actions,
            common,
        });
        let census = census(&log.shuffle, &log.finals, &rules, self.threads, &sorting)?;
        self.check(&census, &log.actions)?;
        self.go_on()?;

        let totals = census.totals.clone();
        let catalogue = self.read_catalogue(&opened, &log, &census, &meter).await?;
        let all = self.spec.catalogue.as_ref().is_some_and(|catalogue| catalogue.items == ItemScope::All);
        let in_catalogue = |code| all && catalogue.as_ref().is_some_and(|catalogue| catalogue.has(code));
        let items = Items::number(&log.finals.items, census, in_catalogue)?;
        let notes = Notes { warnings: self.warnings(&totals, &items, catalogue.as_ref()) };

        let schema = self.schema(&log);
        let writing = meter.phase(Phase::Writing);
        let written =
            self.write(&staging, &log, rules, &items, catalogue.as_ref(), schema, &totals, &writing).await?;
        let mut written = written;
        let mut rejects = CheckedFile::create(staging.dir(), REJECTS)?;
        opened.rejects.write(&mut rejects).map_err(|why| rejects.failed(why))?;
        written.files.push(rejects.finish()?);
        self.go_on()?;

        let manifest =
            self.manifest(fingerprint, &opened, &log, &totals, &items, catalogue.as_ref(), written);
        let json = ManifestFile { manifest: &manifest, notes: &notes }.to_json()?;
        staging.publish(&target, &manifest.files, json).await?;
        Ok(Prepared { location: target, manifest, reused: false, warnings: notes.warnings })
    }

    fn go_on(&self) -> Result<(), PrepareError> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(PrepareError::stopped("it was cancelled")),
            false => Ok(()),
        }
    }

    async fn inputs(&self) -> Result<Vec<InputFile>, PrepareError> {
        let log = &self.spec.log;
        let mut files = resolve(&log.uri, log.format, "log", "log.uri", Part::Train).await?;
        if let SplitSpec::Files { validation, test } = &self.spec.split {
            let parts = [("validation", validation, Part::Validation), ("test", test, Part::Test)];
            for (name, uris, part) in parts {
                if !uris.is_empty() {
                    files.extend(resolve(uris, log.format, "log", &format!("split.{name}"), part).await?);
                }
            }
        }
        if let Some(catalogue) = &self.spec.catalogue {
            let found =
                resolve(&catalogue.uri, catalogue.format, "catalogue", "catalogue.uri", Part::Train).await?;
            files.extend(found);
        }
        Ok(files)
    }

    async fn open(&self, inputs: &[InputFile], meter: &Meter) -> Result<Opened, PrepareError> {
        let of = |section| -> Vec<InputFile> {
            inputs.iter().filter(|file| file.section == section).cloned().collect()
        };
        let split = Split::of(&self.spec.split, self.spec.log.columns.timestamp.is_some())?;
        let (roles, request) = Roles::of(&self.spec.log);
        let rejects = Arc::new(Rejects::default());
        let source = self.source(request.clone(), meter.clone(), Arc::clone(&rejects));
        let files = source.open(&of("log")).await?;
        for file in &files {
            roles.check(file, &request)?;
        }
        let catalogue = match &self.spec.catalogue {
            None => None,
            Some(spec) => {
                let request = catalogue::request(spec)?;
                let source =
                    self.source(request.clone(), meter.phase(Phase::Catalogue), Arc::clone(&rejects));
                let files = source.open(&of("catalogue")).await?;
                for file in &files {
                    catalogue::check(spec, file, &request)?;
                }
                Some(OpenedCatalogue { spec: spec.clone(), source, files })
            }
        };
        Ok(Opened { source, files, roles, rejects, split, catalogue })
    }

    fn source(&self, request: Request, meter: Meter, rejects: Arc<Rejects>) -> Arc<Source> {
        Arc::new(Source::new(request, self.threads, ROW_LIMIT, meter, rejects, Arc::clone(&self.stop)))
    }

    /// Reads the log into the shuffle, and decides what could only be decided afterwards.
    async fn read(&self, opened: &Opened, staging: &Staging) -> Result<Log, PrepareError> {
        let LogSpec { columns, actions: declared, .. } = &self.spec.log;
        // What is left is for reading ahead and for the partitions that are being sorted.
        let budget = self.spec.prepare.memory.0 / 10 * 6;
        let column = |name: &Option<String>| name.clone().unwrap_or_default();
        let cleaner = Arc::new(Cleaner {
            roles: opened.roles.clone(),
            float_order: opened.files.iter().any(|file| opened.roles.has_float_order(file)),
            items: Arc::new(SharedDictionary::new()),
            actions: NameTable::new(
                "log.columns.action",
                &column(&columns.action),
                declared.keys().cloned().collect(),
            ),
            surfaces: NameTable::new("log.columns.surface", &column(&columns.surface), Vec::new()),
            shuffle: Arc::new(Shuffle::new(budget as usize, &staging.spill())),
            rejects: Arc::clone(&opened.rejects),
            times: Mutex::new(TimeCensus::default()),
        });
        opened.source.scan(&opened.files, Arc::clone(&cleaner) as _).await?;

        let time_census = cleaner.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let times = time_census.unit(self.spec.log.timestamp_unit, &column(&columns.timestamp));
        let rows_read = opened.source.rows_read();
        let filtered = rows_read
            .saturating_sub(opened.source.rows_kept())
            .saturating_sub(opened.rejects.count(Cause::UnreadableRow));
        // Bad rows first: when most rows are bad, the rest says little about the unit of time.
        opened.rejects.check(rows_read, self.spec.log.max_bad_rows)?;
        let times = times?;
        let (outside, examples) = times.outside(&time_census);
        opened.rejects.times(outside, &examples);
        opened.rejects.check(rows_read, self.spec.log.max_bad_rows)?;
        if rows_read == filtered + opened.rejects.total() {
            let why = match (rows_read, &self.spec.log.filter) {
                (0, _) => String::new(),
                (rows, Some(filter)) if filtered > 0 => {
                    format!(": log.filter `{filter}` leaves none of {rows}; loosen it")
                }
                (rows, _) => format!(": all {rows} are bad"),
            };
            return Err(PrepareError::EmptyLog { why });
        }
        cleaner.shuffle.finish()?;

        let (names, action_places) = match columns.action {
            Some(_) => cleaner.actions.finish(),
            None => (vec![ENGAGE.to_owned()], vec![0]),
        };
        let actions = names
            .into_iter()
            .map(|name| {
                let ActionSpec { positive, weight } = declared.get(&name).cloned().unwrap_or_default();
                ActionInfo { name, positive, weight, count: 0 }
            })
            .collect();
        let (mut surfaces, surface_places) = cleaner.surfaces.finish();
        if columns.surface.is_some() && surfaces.is_empty() {
            surfaces.push(UNKNOWN_SURFACE.into());
        }
        let items = Arc::clone(&cleaner.items);
        let finals = Arc::new(Finals { times, actions: action_places, surfaces: surface_places, items });
        Ok(Log { shuffle: Arc::clone(&cleaner.shuffle), finals, actions, surfaces, rows_read, filtered })
    }

    /// What the owner of the data should know, though it is no error.
    fn warnings(&self, totals: &Totals, items: &Items, catalogue: Option<&Catalogue>) -> Vec<String> {
        let given = matches!(self.spec.split, SplitSpec::Files { .. });
        let empty =
            [("validation", totals.counts.validation == 0 && !given), ("test", totals.counts.test == 0)];
        let mut warnings: Vec<String> = empty
            .into_iter()
            .filter(|(_, is_empty)| *is_empty)
            .map(|(part, _)| {
                format!(
                    "the split holds out no {part} actions, so nothing is measured on them: do its dates lie in the \
                     log, and have users enough actions?"
                )
            })
            .collect();
        warnings.extend(catalogue_warnings(items, catalogue));
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        warnings
    }

    /// Refuses logs that nothing can be learned from.
    fn check(&self, census: &Census, actions: &[ActionInfo]) -> Result<(), PrepareError> {
        let Totals { users, counts, dropped, backwards, .. } = &census.totals;
        if counts.total == 0 {
            let LogSpec { min_user_actions, min_item_actions, .. } = &self.spec.log;
            let why = format!(
                ": log.min_item_actions = {min_item_actions} leaves out {} and log.min_user_actions = {min_user_actions} then {}; lower them",
                dropped.rare_items, dropped.short_users
            );
            return Err(PrepareError::EmptyLog { why });
        }
        if *backwards > 0 {
            let why = format!(
                "{backwards} users have a held-out action that is older than one to train on, but timelines are in time order; set log.columns.timestamp to null (each part keeps its order), or split by_time"
            );
            return Err(PrepareError::BadSplit { field: "kind", why });
        }
        if *users < 2 {
            return Err(PrepareError::TooFew { what: "users", found: *users });
        }
        let items = census.rows.iter().filter(|rows| **rows > 0).count() as u64;
        if items < 2 {
            return Err(PrepareError::TooFew { what: "items", found: items });
        }
        if census.positives.iter().all(|positives| *positives == 0) {
            let why = match counts.train {
                0 => "it leaves no action to train on; move the boundaries".to_owned(),
                train => format!(
                    "none of the {train} actions to train on is positive; declare one in log.actions as `positive: true`"
                ),
            };
            return Err(PrepareError::BadSplit { field: "kind", why });
        }
        let counted = actions
            .iter()
            .zip(&census.totals.actions)
            .filter(|(action, count)| action.positive && **count > 0);
        if counted.map(|(action, _)| action.weight).sum::<f32>() <= 0.0 {
            let why = "no positive action of this log has a weight, so nothing would be learned; give one in log.actions";
            return Err(PrepareError::BadSplit { field: "kind", why: why.into() });
        }
        Ok(())
    }

    async fn read_catalogue(
        &self,
        opened: &Opened,
        log: &Log,
        census: &Census,
        meter: &Meter,
    ) -> Result<Option<Catalogue>, PrepareError> {
        let Some(opened) = &opened.catalogue else { return Ok(None) };
        meter.phase(Phase::Catalogue);
        let collector = Arc::new(Collector {
            spec: opened.spec.clone(),
            items: Arc::clone(&log.finals.items),
            engaged: census.rows.iter().map(|rows| *rows > 0).collect(),
            kept: Mutex::default(),
        });
        opened.source.scan(&opened.files, Arc::clone(&collector) as _).await?;
        let collector = Arc::into_inner(collector)
            .ok_or_else(|| PrepareError::stopped("the catalogue is still being read"))?;
        Catalogue::new(collector).map(Some)
    }

    fn schema(&self, log: &Log) -> SchemaRef {
        let columns = &self.spec.log.columns;
        let has_time = columns.timestamp.is_some();
        Arc::new(timelines_schema_of(has_time, !log.surfaces.is_empty(), columns.duration.is_some()))
    }

    #[allow(clippy::too_many_arguments, reason = "everything that is known by now goes into the files")]
    async fn write(
        &self,
        staging: &Staging,
        log: &Log,
        rules: Arc<Rules>,
        items: &Items,
        catalogue: Option<&Catalogue>,
        schema: SchemaRef,
        totals: &Totals,
        meter: &Meter,
    ) -> Result<Written, PrepareError> {
        let target = Target {
            dir: staging.dir(),
            schema,
            indices: items.indices(log.finals.items.codes()),
            actions: totals.counts.total,
            shard_actions: self.spec.prepare.shard_actions,
            threads: self.threads,
            meter,
        };
        let (shuffle, finals) = (Arc::clone(&log.shuffle), Arc::clone(&log.finals));
        let (shards, mut files) = write_timelines(shuffle, finals, rules, target).await?;
        let (features, more) = write_items(staging.dir(), items, catalogue)?;
        files.extend(more);
        Ok(Written { shards, files, features })
    }

    #[allow(clippy::too_many_arguments, reason = "everything that is known goes into the manifest")]
    fn manifest(
        &self,
        fingerprint: String,
        opened: &Opened,
        log: &Log,
        totals: &Totals,
        items: &Items,
        catalogue: Option<&Catalogue>,
        written: Written,
    ) -> Manifest {
        let columns = &self.spec.log.columns;
        let mut actions = log.actions.clone();
        for (action, count) in actions.iter_mut().zip(&totals.actions) {
            action.count = *count;
        }
        Manifest {
            format_version: FORMAT_VERSION,
            fingerprint,
            created_by: format!("twinspire {}", env!("CARGO_PKG_VERSION")),
            users: totals.users,
            items: items.codes.len() as u64,
            counts: totals.counts,
            actions,
            surfaces: log.surfaces.clone(),
            has_time: columns.timestamp.is_some(),
            has_durations: columns.duration.is_some(),
            time_span_ms: totals.time_span.filter(|_| columns.timestamp.is_some()),
            features: written.features,
            shards: written.shards,
            files: written.files,
            lengths: totals.lengths(),
            top_items: items.top(TOP_ITEMS),
            rejected: opened.rejects.counts(),
            dropped: dropped(log.filtered, &totals.dropped, catalogue),
            rows_read: log.rows_read,
        }
    }
}

/// Good rows that were left out, by reason.
fn dropped(filtered: u64, dropped: &Dropped, catalogue: Option<&Catalogue>) -> Vec<DroppedRows> {
    let (repeated, without_id) =
        catalogue.map_or((0, 0), |catalogue| (catalogue.repeated, catalogue.without_id));
    [
        ("log.filter is not true for them", filtered),
        ("their item has fewer than log.min_item_actions", dropped.rare_items),
        ("their user has fewer than log.min_user_actions", dropped.short_users),
        ("they follow the user's test action", dropped.after_test),
        ("catalogue rows that repeat another", repeated),
        ("catalogue rows without an id", without_id),
    ]
    .into_iter()
    .filter(|(_, rows)| *rows > 0)
    .map(|(reason, rows)| DroppedRows { reason: reason.into(), rows })
    .collect()
}

/// What the owner of the data should know of the catalogue, though it is no error.
fn catalogue_warnings(items: &Items, catalogue: Option<&Catalogue>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(catalogue) = catalogue {
        let missing: Vec<usize> =
            (0..items.codes.len()).filter(|index| !catalogue.has(items.codes[*index])).collect();
        if let Some(first) = missing.first() {
            warnings.push(format!(
                "{} of {} items of the log have no row in the catalogue (`{}` is one): their features count as missing",
                missing.len(),
                items.codes.len(),
                items.ids[*first]
            ));
        }
        if catalogue.repeated > 0 {
            warnings.push(format!("{} rows of the catalogue repeat another", catalogue.repeated));
        }
    }
    warnings
}
