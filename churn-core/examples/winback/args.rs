//! The command line of the example.

use churn_core::events::{
    Cleaning, CsvOptions, DuplicatePolicy, EventKind, KindMap, NegativePolicy, Policy,
};
use churn_core::journey::ContactPolicy;
use churn_core::simulate::Shop;
use churn_core::text::Language;
use churn_core::winback::{
    JourneySettings, JourneySource, PlaybookSource, PolicySource, WinBackSettings,
};
use churn_core::{AsOf, Error, TimeUnit};

const HELP: &str = "\
Scores, explains and segments a shop's customers and plans how to win them back.

usage: winback [OPTIONS]

Without --events a shop is simulated.

  --events FILE.csv     event log, plain or gzip, with a header line
  --as-of DATE          look at customers as of this instant (default: the day after the last event)
  --out PLAN.csv        write the plan, one row per customer
  --column ROLE=NAME    the file's column for customer, time, kind, value, channel, order or item;
                        value may be a product such as Quantity*UnitPrice
  --kind NAME=KIND      what a name in the kind column means, e.g. order_placed=purchase
  --time-unit UNIT      times are integers in D, s, ms, us or ns since 1970
  --delimiter CHAR      default ,
  --negative POLICY     negative money: reject (default), drop or refund
  --duplicates POLICY   equal rows: keep (default), drop or reject
  --lenient             drop and count rows that would be refused
  --settings FILE.toml  settings of features, scorecard, tiers and grid
  --playbook FILE       a playbook in TOML or JSON
  --journey FILE        a journey in TOML or JSON in place of the default one; may stand repeatedly
  --policy FILE         a contact policy in TOML or JSON, or the name of a vendor's dialect:
                        braze, klaviyo, onesignal, adobe or pinpoint
  --language LANG       en (default) or zh
  --customers N, --days N, --seed N   the simulated shop
  --quiet               no progress
  --help";

pub(crate) struct Args {
    pub(crate) events: Option<String>,
    pub(crate) as_of: Option<AsOf>,
    pub(crate) out: Option<String>,
    pub(crate) csv: CsvOptions,
    pub(crate) cleaning: Cleaning,
    pub(crate) settings: WinBackSettings,
    pub(crate) journeys: JourneySettings,
    pub(crate) shop: Shop,
    pub(crate) language: Language,
    pub(crate) quiet: bool,
}

/// Why the program ends early.
pub(crate) enum Failure {
    Help,
    /// Whoever reads the output wants no more of it.
    Done,
    Usage(String),
    File(String),
    Library(Error),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::Usage(message.into())
    }

    pub(crate) fn file(path: &str, error: std::io::Error) -> Self {
        Failure::File(format!("{path}: {error}"))
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Help | Failure::Done => 0,
            Failure::Usage(_) => 2,
            Failure::File(_) | Failure::Library(_) => 1,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Help => f.write_str(HELP),
            Failure::Done => Ok(()),
            Failure::Usage(message) => write!(f, "winback: {message} (see --help)"),
            Failure::File(message) => write!(f, "winback: {message}"),
            Failure::Library(error) => write!(f, "winback: {error}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Done,
            _ => Failure::File(error.to_string()),
        }
    }
}

impl Args {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Args, Failure> {
        let mut args = Args {
            events: None,
            as_of: None,
            out: None,
            csv: CsvOptions::default(),
            cleaning: Cleaning::default(),
            settings: WinBackSettings::default(),
            journeys: JourneySettings::default(),
            shop: Shop::default(),
            language: Language::default(),
            quiet: false,
        };
        let mut playbook = None;
        let mut journeys = Vec::new();
        let mut words = words;
        while let Some(option) = words.next() {
            let mut value = || {
                let missing = || Failure::usage(format!("{option} needs a value"));
                words.next().ok_or_else(missing)
            };
            match option.as_str() {
                "--events" => args.events = Some(value()?),
                "--as-of" => args.as_of = Some(AsOf::parse(&value()?)?),
                "--out" => args.out = Some(value()?),
                "--column" => args.column(&value()?)?,
                "--kind" => args.kind(&value()?)?,
                "--time-unit" => args.csv.names.time_unit = Some(TimeUnit::from_name(&value()?)?),
                "--delimiter" => args.csv.delimiter = one_char(&value()?)?,
                "--negative" => args.cleaning.negative_value = negative(&value()?)?,
                "--duplicates" => args.cleaning.duplicates = duplicates(&value()?)?,
                "--lenient" => {
                    args.cleaning.unknown_kind = Policy::Drop;
                    args.cleaning.impossible_time = Policy::Drop;
                    args.csv.unreadable = Policy::Drop;
                }
                "--settings" => {
                    let path = value()?;
                    args.settings = churn_core::settings::from_toml("settings", &read(&path)?)?;
                }
                "--playbook" => playbook = Some(value()?),
                "--journey" => {
                    let path = value()?;
                    let text = read(&path)?;
                    journeys.push(match path.ends_with(".json") {
                        true => JourneySource::Json(text),
                        false => JourneySource::Toml(text),
                    });
                }
                "--policy" => {
                    let path = value()?;
                    args.journeys.policy = if ContactPolicy::PRESETS.contains(&path.as_str()) {
                        PolicySource::Preset(path)
                    } else if path.ends_with(".json") {
                        PolicySource::Json(read(&path)?)
                    } else {
                        PolicySource::Toml(read(&path)?)
                    };
                }
                "--language" => args.language = Language::from_code(&value()?)?,
                "--customers" => args.shop.customers = number(&option, &value()?)?,
                "--days" => args.shop.days = number(&option, &value()?)?,
                "--seed" => args.shop.seed = number(&option, &value()?)?,
                "--quiet" => args.quiet = true,
                "--help" | "-h" => return Err(Failure::Help),
                other => return Err(Failure::usage(format!("unknown option {other:?}"))),
            }
        }
        if let Some(path) = playbook {
            let text = read(&path)?;
            args.settings.playbook = if path.ends_with(".json") {
                PlaybookSource::Json(text)
            } else {
                PlaybookSource::Toml(text)
            };
        }
        if !journeys.is_empty() {
            args.journeys.journeys = journeys;
        }
        Ok(args)
    }

    fn column(&mut self, pair: &str) -> Result<(), Failure> {
        let (role, name) = split(pair, "--column customer=CustomerID")?;
        let names = &mut self.csv.names;
        let place = match role {
            "customer" => &mut names.customer,
            "time" => &mut names.time,
            "kind" => &mut names.kind,
            "value" => &mut names.value,
            "channel" => &mut names.channel,
            "order" => &mut names.order,
            "item" => &mut names.item,
            _ => return Err(Failure::usage(format!("there is no role {role:?}"))),
        };
        *place = Some(name.to_owned());
        Ok(())
    }

    fn kind(&mut self, pair: &str) -> Result<(), Failure> {
        let (name, kind) = split(pair, "--kind order_placed=purchase")?;
        let map: KindMap = std::mem::take(&mut self.cleaning.kinds);
        self.cleaning.kinds = map.with(name, EventKind::from_name(kind)?);
        Ok(())
    }
}

fn read(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file(path, error))
}

fn split<'a>(pair: &'a str, example: &str) -> Result<(&'a str, &'a str), Failure> {
    let parts = pair.split_once('=');
    parts.ok_or_else(|| Failure::usage(format!("expected the form {example}, got {pair:?}")))
}

fn one_char(text: &str) -> Result<char, Failure> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Ok(char),
        _ => Err(Failure::usage(format!(
            "--delimiter needs one character, got {text:?}"
        ))),
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, Failure> {
    let wrong = |_| Failure::usage(format!("{option} needs a whole number, got {text:?}"));
    text.parse().map_err(wrong)
}

fn negative(name: &str) -> Result<NegativePolicy, Failure> {
    match name {
        "reject" => Ok(NegativePolicy::Reject),
        "drop" => Ok(NegativePolicy::Drop),
        "refund" => Ok(NegativePolicy::Refund),
        _ => Err(Failure::usage(format!(
            "--negative {name}: reject, drop or refund"
        ))),
    }
}

fn duplicates(name: &str) -> Result<DuplicatePolicy, Failure> {
    match name {
        "keep" => Ok(DuplicatePolicy::Keep),
        "drop" => Ok(DuplicatePolicy::Drop),
        "reject" => Ok(DuplicatePolicy::Reject),
        _ => Err(Failure::usage(format!(
            "--duplicates {name}: keep, drop or reject"
        ))),
    }
}
