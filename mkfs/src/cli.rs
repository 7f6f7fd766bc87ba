//! The command line: options in the order given, their suboptions, and the requests they
//! add up to.

use clap::{Arg, ArgAction, ArgMatches, Command};
use libfs::format::features::QuotaFlags;
use libfs::mkfs::{
    AgSizing, Amount, DeviceTraits, Features, GroupSizing, LogSizing, Notice, Options,
    RealtimeOptions, RootDirectory, SelfHealing, Sizes, Stripe, Toggle,
};

use crate::config::{self, Role};
use crate::environment::Environment;
use crate::suboptions::{self, Seen, Suboption};
use crate::target::Section;
use crate::usage::{PROGRAM, Refusal, USAGE};

/// Options with suboptions, and what they are about.
const GROUPS: &[(&str, &str)] = &[
    ("b", "Block size"),
    ("c", "Configuration files"),
    ("d", "Data section"),
    ("i", "Inodes"),
    ("l", "Log section"),
    ("m", "Metadata"),
    ("n", "Naming"),
    ("p", "Population"),
    ("r", "Realtime section"),
    ("s", "Sector size"),
];

/// Options of xfsprogs 7.2 that this program does not have.
const MISSING_GROUPS: &[char] = &['p'];

/// What the value of an option with suboptions is called.
pub const SUBOPTIONS: &str = "suboption[=value],...";

/// The options as clap knows them: for parsing, manual page and completions.
pub fn command() -> Command {
    let groups = GROUPS.iter().map(|(letter, help)| {
        Arg::new(*letter)
            .short(first(letter))
            .value_name(SUBOPTIONS)
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help(*help)
    });
    let flag = |letter: &'static str, help: &'static str| {
        Arg::new(letter).short(first(letter)).action(ArgAction::Count).help(help)
    };
    Command::new(PROGRAM)
        .about("Make an XFS filesystem")
        .override_usage(USAGE.trim_start_matches("Usage: "))
        .override_help(USAGE)
        .disable_version_flag(true)
        .disable_help_flag(true)
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print the usage"))
        .args(groups)
        .arg(
            Arg::new("L")
                .short('L')
                .value_name("label")
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .help("Label, at most 12 characters"),
        )
        .arg(flag("f", "Overwrite an existing filesystem").short_alias('C'))
        .arg(flag("K", "Do not discard the device's blocks first"))
        .arg(flag("N", "Print what would be made, and make nothing"))
        .arg(flag("q", "Do not print the geometry"))
        .arg(flag("V", "Print the version"))
        .infer_long_args(true)
        .arg(Arg::new("unsupported").long("unsupported").action(ArgAction::Count).hide(true))
        .arg(Arg::new("device").value_name("devicename").action(ArgAction::Append))
}

/// The letter that an identifier of one letter is.
fn first(id: &str) -> char {
    id.chars().next().unwrap_or('?')
}

/// What is asked of the realtime section.
#[derive(Debug, Default)]
struct Realtime {
    name: Option<String>,
    file: bool,
    size: Option<String>,
    extent_size: Option<String>,
    no_align: bool,
    group_count: Option<u64>,
    group_size: Option<String>,
    concurrency: Option<u32>,
    zoned: bool,
    start: Option<String>,
    reserved: Option<String>,
}

/// What the command line asks for.
#[derive(Debug, Default)]
pub struct Cli {
    /// Path of the device or image file.
    pub name: Option<String>,
    /// `-d file`: the path is an image file, to be made if it is missing.
    pub file: bool,
    /// `-f`.
    pub force: bool,
    /// Not `-K`.
    pub discard: bool,
    /// `-N`.
    pub dry_run: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-V`.
    pub version: bool,
    /// Block size.
    pub block_size: Option<u32>,
    /// Sector size.
    pub sector_size: Option<u32>,
    /// Sector size of the log.
    pub log_sector_size: Option<u32>,
    log_name: Option<String>,
    log_file: bool,
    internal_log: Option<bool>,
    data_size: Option<String>,
    ag_size: Option<String>,
    ag_count: Option<u64>,
    data_concurrency: Option<u32>,
    stripe_sectors: (Option<u32>, Option<u32>),
    stripe_unit: Option<String>,
    stripe_count: Option<u32>,
    no_align: bool,
    log_size: Option<String>,
    log_stripe_unit: Option<String>,
    log_stripe_sectors: Option<u32>,
    log_concurrency: Option<u32>,
    log_ag: Option<u64>,
    directory_size: Option<String>,
    inode_size: Option<u32>,
    inodes_per_block: Option<u32>,
    inode_percentage: Option<u8>,
    unaligned_inodes: bool,
    max_atomic_write: Option<String>,
    features: Features,
    quota: QuotaFlags,
    realtime: Realtime,
    self_healing: Option<SelfHealing>,
    uuid: Option<[u8; 16]>,
    label: Vec<u8>,
    root: RootDirectory,
    unsupported: bool,
    config: Option<String>,
    /// `-c makecfg=`: a file to write the options to, instead of making a filesystem.
    pub make_config: Option<String>,
    version4: Version4,
    seen: Seen,
}

/// Properties that only version 4 filesystems can do without, as asked for.
#[derive(Debug)]
struct Version4 {
    lazy_counters: bool,
    log_version: i64,
    attr_version: i64,
    project32: bool,
    file_types: bool,
}

impl Default for Version4 {
    fn default() -> Self {
        let (log_version, attr_version) = (2, 2);
        Self { lazy_counters: true, log_version, attr_version, project32: true, file_types: true }
    }
}

impl Cli {
    /// Parses the command line and the configuration files it names.
    ///
    /// # Errors
    /// What is wrong with it, in mkfs.xfs's words.
    pub fn parse(
        args: impl IntoIterator<Item = String>,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Self, Refusal> {
        let matches = match command().try_get_matches_from(args) {
            Ok(matches) => matches,
            Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => error.exit(),
            Err(error) => return Err(refusal(&error)),
        };
        let count = |name| matches.get_count(name) != 0;
        let mut cli = Self {
            force: count("f"),
            discard: !count("K"),
            dry_run: count("N"),
            quiet: count("q"),
            unsupported: count("unsupported"),
            ..Self::default()
        };
        let given = in_order(&matches);
        let mut defaults = None;
        for (_, argument) in given.iter().filter(|(letter, _)| *letter == 'c') {
            cli.find_defaults(argument, &mut defaults)?;
        }
        if let Some(path) = defaults {
            cli.read_config(&path, Role::Defaults, notify)?;
        }
        cli.forget_choices();
        for (letter, argument) in given {
            match letter {
                'L' => cli.set_label(&argument)?,
                'V' => {
                    cli.version = true;
                    return Ok(cli);
                }
                _ => cli.take_group(letter, &argument)?,
            }
        }
        let mut devices = matches.get_many::<String>("device").into_iter().flatten();
        let device = devices.next();
        if devices.next().is_some() {
            return Err(Refusal::with_usage("extra arguments"));
        }
        if let (Some(device), Some(option)) = (device, suboptions::find('d', "name")) {
            cli.name = Some(cli.seen.words(option, Some(device))?);
        }
        if let Some(path) = cli.config.take() {
            cli.read_config(&path, Role::Options, notify)?;
        }
        if cli.internal_log == Some(true) && cli.log_name.is_some() {
            return Err(Refusal::with_usage("Cannot specify both -l internal and -l name"));
        }
        Ok(cli)
    }

    /// Looks through `-c` for a file of defaults, which counts before all else.
    fn find_defaults(&mut self, argument: &str, path: &mut Option<String>) -> Result<(), Refusal> {
        for (piece, name, value) in suboptions::split(argument) {
            let option = find('c', name, piece)?;
            if option.name == "defaults" {
                *path = Some(self.seen.words(option, value)?);
            }
        }
        Ok(())
    }

    fn read_config(
        &mut self,
        path: &str,
        role: Role,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<(), Refusal> {
        let done = config::read(path, role, &mut |letter, name, value| {
            refuse_missing(letter)?;
            let Some(option) = suboptions::find(letter, name) else { return Ok(false) };
            self.take(option, Some(value)).map(|()| true)
        })?;
        notify(Notice::Output(done));
        Ok(())
    }

    /// What was chosen so far becomes the default, to be overridden without complaint. Stripes
    /// and the place of the log are no defaults: 7.2 takes them from the command line alone.
    fn forget_choices(&mut self) {
        (self.stripe_sectors, self.stripe_unit, self.stripe_count) = ((None, None), None, None);
        (self.log_stripe_unit, self.log_stripe_sectors, self.log_ag) = (None, None, None);
        self.features = self.features.as_defaults();
        self.seen = Seen::default();
    }

    fn set_label(&mut self, label: &str) -> Result<(), Refusal> {
        if label.len() > 12 {
            return Err(Refusal::with_usage(format!("Invalid value {label} for -L option")));
        }
        self.label = label.as_bytes().to_vec();
        Ok(())
    }

    fn take_group(&mut self, letter: char, argument: &str) -> Result<(), Refusal> {
        refuse_missing(letter)?;
        for (piece, name, value) in suboptions::split(argument) {
            self.take(find(letter, name, piece)?, value)?;
        }
        Ok(())
    }

    fn take(&mut self, option: &'static Suboption, value: Option<&str>) -> Result<(), Refusal> {
        let key = (option.letter, option.name);
        match key {
            ('m', "uuid") => return self.take_uuid(option, value),
            ('m', "autofsck") => return self.take_self_healing(option, value),
            ('n', "version") => return self.take_naming(option, value),
            ('d' | 'l' | 'r', "concurrency") => return self.take_concurrency(option, value),
            ('d', "name") => {
                self.name = Some(self.seen.words(option, value)?);
                return Ok(());
            }
            ('c', name) => {
                let path = self.seen.words(option, value)?;
                match name {
                    "options" => self.config = Some(path),
                    "makecfg" => self.make_config = Some(path),
                    _ => {}
                }
                return Ok(());
            }
            ('r', "name" | "rtdev") => {
                self.realtime.name = Some(self.seen.words(option, value)?);
                return Ok(());
            }
            ('l', "name" | "logdev") => {
                self.log_name = Some(self.seen.words(option, value)?);
                return Ok(());
            }
            _ => {}
        }
        if let Some(words) = match key {
            ('d', "size") => Some(&mut self.data_size),
            ('d', "agsize") => Some(&mut self.ag_size),
            ('d', "su") => Some(&mut self.stripe_unit),
            ('l', "size") => Some(&mut self.log_size),
            ('l', "su") => Some(&mut self.log_stripe_unit),
            ('n', "size") => Some(&mut self.directory_size),
            ('i', "max_atomic_write") => Some(&mut self.max_atomic_write),
            ('r', "size") => Some(&mut self.realtime.size),
            ('r', "extsize") => Some(&mut self.realtime.extent_size),
            ('r', "rgsize") => Some(&mut self.realtime.group_size),
            ('r', "start") => Some(&mut self.realtime.start),
            ('r', "reserved") => Some(&mut self.realtime.reserved),
            _ => None,
        } {
            *words = Some(self.seen.words(option, value)?);
            return Ok(());
        }
        let number = self.seen.number(option, value, None)?;
        self.set_number(key, number);
        Ok(())
    }

    /// Keeps a number, which is in the range of its suboption.
    fn set_number(&mut self, key: (char, &str), number: i64) {
        let on = number != 0;
        let chosen = Toggle::chosen(on);
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        let features = &mut self.features;
        match key {
            ('b', "size") => self.block_size = Some(small),
            ('d', "agcount") => self.ag_count = Some(small.into()),
            ('d', "file") => self.file = on,
            ('d', "sunit") => self.stripe_sectors.0 = Some(small),
            ('d', "swidth") => self.stripe_sectors.1 = Some(small),
            ('d', "sw") => self.stripe_count = Some(small),
            ('d', "noalign") => self.no_align = on,
            ('d', "sectsize") => self.sector_size = Some(small),
            ('d', "rtinherit") => self.root.realtime = on,
            ('d', "projinherit") => self.root.project = Some(small),
            ('d', "extszinherit") => self.root.extent_size = small,
            ('d', "cowextsize") => self.root.cow_extent_size = small,
            ('d', "daxinherit") => self.root.direct_access = on,
            ('i', "align") => self.unaligned_inodes = !on,
            ('i', "maxpct") => self.inode_percentage = Some(small as u8),
            ('i', "perblock") => self.inodes_per_block = Some(small),
            ('i', "size") => self.inode_size = Some(small),
            ('i', "attr") => self.version4.attr_version = number,
            ('i', "projid32bit") => self.version4.project32 = on,
            ('i', "sparse") => features.sparse_inodes = chosen,
            ('i', "nrext64") => features.large_extent_counts = chosen,
            ('i', "exchange") => features.exchange_range = chosen,
            ('r', "file") => self.realtime.file = on,
            ('r', "noalign") => self.realtime.no_align = on,
            ('r', "rgcount") => self.realtime.group_count = Some(small.into()),
            ('r', "zoned") => self.realtime.zoned = on,
            ('l', "file") => self.log_file = on,
            ('l', "agnum") => self.log_ag = Some(small.into()),
            ('l', "internal") => self.internal_log = Some(on),
            ('l', "version") => self.version4.log_version = number,
            ('l', "sunit") => self.log_stripe_sectors = Some(small),
            ('l', "sectsize") => self.log_sector_size = Some(small),
            ('l', "lazy-count") => self.version4.lazy_counters = on,
            ('m', "crc") => features.checksums = chosen,
            ('m', "finobt") => features.free_inode_btree = chosen,
            ('m', "rmapbt") => features.reverse_mapping = chosen,
            ('m', "reflink") => features.reflink = chosen,
            ('m', "inobtcount") => features.inode_btree_counts = chosen,
            ('m', "bigtime") => features.big_timestamps = chosen,
            ('m', "metadir") => features.metadata_directories = chosen,
            ('m', _) => self.quota.set(quota(key.1), on),
            ('n', "ftype") => self.version4.file_types = on,
            ('n', "parent") => features.parent_pointers = chosen,
            ('s', _) => {
                self.sector_size = Some(small);
                self.log_sector_size = Some(small);
            }
            _ => {}
        }
    }

    fn take_uuid(&mut self, option: &Suboption, value: Option<&str>) -> Result<(), Refusal> {
        let words = value.filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| suboptions::missing(option))?;
        // Only the form with hyphens, as libuuid.
        let uuid = Some(words).filter(|words| words.len() == 36);
        let uuid = uuid.and_then(|words| uuid::Uuid::try_parse(words).ok());
        let uuid = uuid.ok_or_else(|| {
            Refusal::with_usage(format!("Invalid value {words} for -m uuid option"))
        })?;
        self.uuid = Some(uuid.into_bytes());
        Ok(())
    }

    fn take_self_healing(
        &mut self,
        option: &Suboption,
        value: Option<&str>,
    ) -> Result<(), Refusal> {
        let words = value.unwrap_or_default();
        let level = if words.is_empty() || words.starts_with(|c: char| c.is_ascii_digit()) {
            let on = self.seen.number(option, value, None)? != 0;
            Some(if on { SelfHealing::Repair } else { SelfHealing::None })
        } else {
            SelfHealing::from_name(words)
        };
        let level = level.ok_or_else(|| {
            Refusal::with_usage(format!("Invalid value {words} for -m autofsck option"))
        })?;
        self.self_healing = Some(level);
        Ok(())
    }

    fn take_naming(&mut self, option: &Suboption, value: Option<&str>) -> Result<(), Refusal> {
        let words = self.seen.words(option, value)?;
        if words.eq_ignore_ascii_case("ci") {
            self.features.ascii_case_insensitive = Toggle::chosen(true);
            return Ok(());
        }
        self.seen.number(option, Some(&words), None).map(|_| ())
    }

    /// 1, no value and `nr_cpus` all mean as many threads as there are CPUs.
    fn take_concurrency(&mut self, option: &Suboption, value: Option<&str>) -> Result<(), Refusal> {
        let number = match value {
            None | Some("nr_cpus") => 1,
            Some(_) => self.seen.number(option, value, None)?,
        };
        let threads = match u32::try_from(number).unwrap_or(0) {
            1 => crate::environment::cpus(),
            threads => threads,
        };
        match option.letter {
            'd' => self.data_concurrency = Some(threads),
            'r' => self.realtime.concurrency = Some(threads),
            _ => self.log_concurrency = Some(threads),
        }
        Ok(())
    }

    /// The size given in words, as a number.
    fn amount(
        &mut self,
        letter: char,
        name: &str,
        words: Option<String>,
        sizes: Sizes,
    ) -> Result<Option<Amount>, Refusal> {
        let (Some(text), Some(option)) = (words, suboptions::find(letter, name)) else {
            return Ok(None);
        };
        let bytes = self.seen.number(option, Some(&text), Some(sizes))?;
        Ok(Some(Amount { bytes: bytes as u64, text }))
    }

    /// The data section.
    pub fn data(&self) -> Section<'_> {
        Section {
            letter: 'd',
            title: "data",
            name: self.name.as_deref(),
            file: self.file,
            sized: self.data_size.is_some(),
        }
    }

    /// The log, if it is to lie on a device of its own.
    pub fn external_log(&self) -> Option<Section<'_>> {
        let internal = self.internal_log.unwrap_or(self.log_name.is_none());
        (!internal).then_some(Section {
            letter: 'l',
            title: "log",
            name: self.log_name.as_deref(),
            file: self.log_file,
            sized: self.log_size.is_some(),
        })
    }

    /// The realtime section, if it is to lie on a device of its own.
    pub fn external_realtime(&self) -> Option<Section<'_>> {
        let realtime = &self.realtime;
        realtime.name.is_some().then_some(Section {
            letter: 'r',
            title: "rt",
            name: realtime.name.as_deref(),
            file: realtime.file,
            sized: realtime.size.is_some(),
        })
    }

    fn realtime_options(
        &mut self,
        sizes: Sizes,
        device: Option<DeviceTraits>,
    ) -> Result<RealtimeOptions, Refusal> {
        let asked = std::mem::take(&mut self.realtime);
        let group_size = self.amount('r', "rgsize", asked.group_size, sizes)?;
        let sizing = match (asked.group_count, group_size, asked.concurrency) {
            (Some(count), ..) => GroupSizing::Count(count),
            (_, Some(size), _) => GroupSizing::Size(size),
            (.., Some(threads)) => GroupSizing::Concurrency(threads),
            _ => GroupSizing::Automatic,
        };
        Ok(RealtimeOptions {
            device,
            extent_size: self.amount('r', "extsize", asked.extent_size, sizes)?,
            size: self.amount('r', "size", asked.size, sizes)?,
            no_align: asked.no_align,
            sizing,
            zoned: asked.zoned,
            start: self.amount('r', "start", asked.start, sizes)?,
            reserved: self.amount('r', "reserved", asked.reserved, sizes)?,
        })
    }

    /// What is asked of the filesystem, now that block and sector size are known.
    ///
    /// # Errors
    /// Values that are no sizes or out of range, and what version 5 filesystems cannot do
    /// without.
    pub fn into_options(
        mut self,
        sizes: Sizes,
        log_device: Option<DeviceTraits>,
        realtime_device: Option<DeviceTraits>,
        environment: &Environment,
    ) -> Result<Options, Refusal> {
        self.check_version4()?;
        let directory = self.directory_size.take();
        let directory = self.amount('n', "size", directory, sizes)?;
        let data = self.data_size.take();
        let data_size = self.amount('d', "size", data, sizes)?;
        let stripe = self.stripe(sizes)?;
        let log_stripe_unit = self.log_stripe_unit(sizes)?;
        let atomic_write = self.max_atomic_write.take();
        let atomic_write = self.amount('i', "max_atomic_write", atomic_write, sizes)?;
        Ok(Options {
            features: self.features,
            quota: self.quota,
            realtime: self.realtime_options(sizes, realtime_device)?,
            self_healing: self.self_healing,
            uuid: self.uuid.unwrap_or_else(|| uuid::Uuid::new_v4().into_bytes()),
            data_size,
            ag_sizing: self.ag_sizing(sizes)?,
            stripe,
            inode_size: self.inode_size,
            inodes_per_block: self.inodes_per_block,
            inode_percentage: self.inode_percentage,
            align_inodes: !self.unaligned_inodes,
            max_atomic_write: atomic_write.map(|size| size.bytes),
            log_device,
            log_sizing: self.log_sizing(sizes)?,
            log_stripe_unit,
            log_ag: self.log_ag,
            directory_block_size: directory.map(|size| size.bytes as u32),
            unsupported: self.unsupported || environment.under_fstests,
            cpus: crate::environment::cpus(),
            time: environment.time,
            generation: environment.generation,
            root: self.root,
            label: self.label,
        })
    }

    fn check_version4(&self) -> Result<(), Refusal> {
        if !self.features.checksums.on {
            return Ok(());
        }
        let v4 = &self.version4;
        let always =
            |what: &str| Err(Refusal::with_usage(format!("{what} CRC enabled filesystems")));
        if !v4.lazy_counters {
            return always("Lazy superblock counters always enabled for");
        }
        if v4.log_version != 2 {
            return always("V2 logs always enabled for");
        }
        if v4.attr_version != 2 {
            return always("V2 attribute format always enabled on");
        }
        if !v4.project32 {
            return always("32 bit Project IDs always enabled on");
        }
        if !v4.file_types {
            return always("Directory ftype field always enabled on");
        }
        Ok(())
    }

    fn ag_sizing(&mut self, sizes: Sizes) -> Result<AgSizing, Refusal> {
        let words = self.ag_size.take();
        if let Some(threads) = self.data_concurrency.filter(|threads| *threads > 0) {
            return Ok(AgSizing::Concurrency(threads));
        }
        if let Some(size) = self.amount('d', "agsize", words, sizes)? {
            return Ok(AgSizing::Size(size));
        }
        Ok(match (self.ag_count, self.data_concurrency) {
            (Some(count), _) => AgSizing::Count(count),
            (None, Some(threads)) => AgSizing::Concurrency(threads),
            (None, None) => AgSizing::Automatic,
        })
    }

    fn log_sizing(&mut self, sizes: Sizes) -> Result<LogSizing, Refusal> {
        let words = self.log_size.take();
        if let Some(size) = self.amount('l', "size", words, sizes)? {
            return Ok(LogSizing::Size(size));
        }
        Ok(self.log_concurrency.map_or(LogSizing::Automatic, LogSizing::Concurrency))
    }

    fn stripe(&mut self, sizes: Sizes) -> Result<Stripe, Refusal> {
        let words = self.stripe_unit.take();
        let unit = self.amount('d', "su", words, sizes)?.map(|size| size.bytes);
        if self.no_align {
            return Ok(Stripe::None);
        }
        if unit.is_some() || self.stripe_count.is_some() {
            return Ok(Stripe::Units { unit, count: self.stripe_count });
        }
        Ok(match self.stripe_sectors {
            (None, None) => Stripe::FromDevice,
            (unit, width) => Stripe::Sectors { unit, width },
        })
    }

    fn log_stripe_unit(&mut self, sizes: Sizes) -> Result<Option<u64>, Refusal> {
        let words = self.log_stripe_unit.take();
        let bytes = self.amount('l', "su", words, sizes)?.map(|size| size.bytes);
        Ok(bytes.or(self.log_stripe_sectors.map(|sectors| u64::from(sectors) * 512)))
    }
}

/// What one of the quota suboptions turns on.
fn quota(name: &str) -> QuotaFlags {
    let enforced = !name.ends_with("noenforce");
    let (accounted, limited) = match name.as_bytes() {
        [b'u', ..] => (QuotaFlags::UQUOTA_ACCT, QuotaFlags::UQUOTA_ENFD),
        [b'g', ..] => (QuotaFlags::GQUOTA_ACCT, QuotaFlags::GQUOTA_ENFD),
        _ => (QuotaFlags::PQUOTA_ACCT, QuotaFlags::PQUOTA_ENFD),
    };
    if enforced { accounted | limited } else { accounted }
}

/// The suboption `name`, which is what `piece` of the command line is about.
fn find(letter: char, name: &str, piece: &str) -> Result<&'static Suboption, Refusal> {
    suboptions::find(letter, name)
        .ok_or_else(|| Refusal::with_usage(format!("unknown option -{letter} {piece}")))
}

fn refuse_missing(letter: char) -> Result<(), Refusal> {
    if MISSING_GROUPS.contains(&letter) {
        return Err(unsupported(format!("-{letter}")));
    }
    Ok(())
}

fn unsupported(what: String) -> Refusal {
    Refusal::plain(format!("{PROGRAM}: {what} is not supported by this program yet"))
}

/// The options that take an argument, and -V, in the order of the command line: which error is
/// reported first depends on it.
fn in_order(matches: &ArgMatches) -> Vec<(char, String)> {
    let mut found = Vec::new();
    for id in GROUPS.iter().map(|(id, _)| *id).chain(["L"]) {
        let (Some(indices), Some(values)) =
            (matches.indices_of(id), matches.get_many::<String>(id))
        else {
            continue;
        };
        let letter = first(id);
        found.extend(indices.zip(values).map(|(index, value)| (index, letter, value.clone())));
    }
    // A flag that was not given has an index too.
    let version = matches.indices_of("V").filter(|_| matches.get_count("V") != 0);
    found.extend(version.into_iter().flatten().map(|index| (index, 'V', String::new())));
    found.sort_by_key(|(index, ..)| *index);
    found.into_iter().map(|(_, letter, value)| (letter, value)).collect()
}

/// A clap error in the words of the C library and mkfs.xfs.
fn refusal(error: &clap::Error) -> Refusal {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => String::new(),
    };
    let letter: String = word.trim_start_matches('-').chars().take(1).collect();
    let (reason, shown) = match error.kind() {
        ErrorKind::UnknownArgument if word.starts_with("--") => {
            (format!("unrecognized option '{word}'"), String::new())
        }
        ErrorKind::UnknownArgument => (format!("invalid option -- '{letter}'"), letter),
        _ => (format!("option requires an argument -- '{letter}'"), letter),
    };
    Refusal::with_usage(format!("{PROGRAM}: {reason}\nunknown option -{shown} "))
}
