//! How mkfs.xfs ends when it is asked for something impossible: what is wrong, then the
//! usage, then exit status 1.

use std::fmt;

/// The name this program goes by in its messages, whatever the file is called.
pub const PROGRAM: &str = "mkfs.xfs";

/// What `mkfs.xfs` prints after an error of usage.
pub const USAGE: &str = "\
Usage: mkfs.xfs
/* blocksize */		[-b size=num]
/* config file */	[-c options=path,makecfg=path,defaults=path
/* metadata */		[-m crc=0|1,finobt=0|1,uuid=xxx,rmapbt=0|1,reflink=0|1,
			    inobtcount=0|1,bigtime=0|1,autofsck=xxx,
			    metadir=0|1]
/* quota */		[-m uquota|uqnoenforce,gquota|gqnoenforce,
			    pquota|pqnoenforce]
/* data subvol */	[-d agcount=n,agsize=n,file,name=xxx,size=num,
			    (sunit=value,swidth=value|su=num,sw=num|noalign),
			    sectsize=num,concurrency=num]
/* force overwrite */	[-f]
/* inode size */	[-i perblock=n|size=num,maxpct=n,attr=0|1|2,
			    projid32bit=0|1,sparse=0|1,nrext64=0|1,
			    exchange=0|1,max_atomic_write=n]
/* no discard */	[-K]
/* log subvol */	[-l agnum=n,internal,size=num,logdev=xxx,version=n
			    sunit=value|su=num,sectsize=num,lazy-count=0|1,
			    concurrency=num]
/* label */		[-L label (maximum 12 characters)]
/* naming */		[-n size=num,version=2|ci,ftype=0|1,parent=0|1]]
/* no-op info only */	[-N]
/* prototype file */	[-p fname]
/* populate from directory */	[-p dirname,atime=0|1]
/* quiet */		[-q]
/* realtime subvol */	[-r extsize=num,size=num,rtdev=xxx,rgcount=n,rgsize=n,
			    concurrency=num,zoned=0|1,start=n,reserved=n]
/* sectorsize */	[-s size=num]
/* version */		[-V]
			devicename
<devicename> is required unless -d name=xxx is given.
<num> is xxx (bytes), xxxs (sectors), xxxb (fs blocks), xxxk (xxx KiB),
      xxxm (xxx MiB), xxxg (xxx GiB), xxxt (xxx TiB) or xxxp (xxx PiB).
<value> is xxx (512 byte blocks).
";

/// Why no filesystem was made.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, in full lines or without the last line's end.
    message: String,
    usage: bool,
}

impl Refusal {
    /// A refusal followed by the usage.
    pub fn with_usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), usage: true }
    }

    /// A refusal that says all there is to say.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), usage: false }
    }
}

impl From<libfs::mkfs::PlanError> for Refusal {
    fn from(error: libfs::mkfs::PlanError) -> Self {
        Self { message: error.to_string(), usage: error.wants_usage() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        if self.usage { f.write_str(USAGE) } else { Ok(()) }
    }
}
