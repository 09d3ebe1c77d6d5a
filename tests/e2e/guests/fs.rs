//! Rust's std::fs as programs use it, in the directory that the first argument names: create, read, write, append,
//! seek, rename, link, copy, times, walk, remove, and what is refused. Panics where something is not as it should be.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

const NOT_EMPTY: i32 = 55; // of WASI 0.1, which std stands on

fn walk(folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        found.push(entry.file_name().into_string().unwrap());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), found)?;
        }
    }
    Ok(())
}

fn contents(file: &Path) -> io::Result<()> {
    fs::write(file, "hello\nworld\n")?;
    OpenOptions::new().append(true).open(file)?.write_all(b"more\n")?;
    let mut open = OpenOptions::new().read(true).write(true).open(file)?;
    open.seek(SeekFrom::Start(6))?;
    open.write_all(b"W")?;
    open.seek(SeekFrom::End(-5))?;
    let mut text = String::new();
    open.read_to_string(&mut text)?;
    assert_eq!(text, "more\n");
    open.set_len(11)?;
    open.sync_all()?;
    open.sync_data()?;
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 5);
    open.set_times(FileTimes::new().set_accessed(time).set_modified(time))?;
    let status = fs::metadata(file)?;
    assert!(status.is_file() && status.len() == 11);
    assert_eq!((status.modified()?, status.accessed()?), (time, time));
    assert_eq!(fs::read_to_string(file)?, "hello\nWorld");
    Ok(())
}

fn names(root: &Path) -> io::Result<()> {
    fs::rename(root.join("a/file"), root.join("a/b/renamed"))?;
    assert_eq!(fs::metadata(root.join("a/file")).unwrap_err().kind(), ErrorKind::NotFound);
    fs::hard_link(root.join("a/b/renamed"), root.join("a/link"))?;
    fs::copy(root.join("a/link"), root.join("a/b/c/copy"))?;
    for i in 0..300 {
        fs::write(root.join(format!("a/{i:03}")), i.to_string())?;
    }
    let mut found = vec![];
    walk(root, &mut found)?;
    assert_eq!(found.len(), 306);
    assert!(found.contains(&"copy".to_string()) && found.contains(&"299".to_string()));
    assert_eq!(fs::remove_dir(root.join("a")).unwrap_err().raw_os_error(), Some(NOT_EMPTY));
    fs::remove_dir_all(root.join("a"))
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let root = Path::new(&arguments[1]);
    fs::create_dir_all(root.join("a/b/c"))?;
    contents(&root.join("a/file"))?;
    names(root)?;
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + (i >> 8)) as u8).collect();
    fs::write(root.join("large"), &large)?;
    assert!(fs::read(root.join("large"))? == large);
    fs::remove_file(root.join("large"))?;
    assert_eq!(File::open(root.join("../../x")).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(File::open("/etc/passwd").is_err());
    assert_eq!(fs::write(Path::new(&arguments[2]).join("kept"), "x").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    println!("{} lines of input", io::stdin().lock().lines().count());
    Ok(())
}
