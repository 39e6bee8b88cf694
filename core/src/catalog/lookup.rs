//! Finding a row by name.

use super::{Catalog, Fabric, Gpu, ModelPreset, Price, Shape};
use crate::error::Error;

impl Catalog {
    /// The GPU called `name`: its canonical name or an alias; case, spaces, `-` and `_` do not matter.
    ///
    /// # Errors
    /// [`Error::UnknownName`] at `field` with the nearest name.
    pub fn gpu(&self, field: &str, name: &str) -> Result<&Gpu, Error> {
        find(field, "GPU", name, &self.gpus, |g| (&g.name, &g.aliases))
    }

    /// The shape called `name`, spelt as [`Catalog::gpu`] allows.
    ///
    /// # Errors
    /// [`Error::UnknownName`] at `field` with the nearest name.
    pub fn shape(&self, field: &str, name: &str) -> Result<&Shape, Error> {
        find(field, "shape", name, &self.shapes, |s| (&s.name, &s.aliases))
    }

    /// The fabric called `name`, spelt as [`Catalog::gpu`] allows.
    ///
    /// # Errors
    /// [`Error::UnknownName`] at `field` with the nearest name.
    pub fn fabric(&self, field: &str, name: &str) -> Result<&Fabric, Error> {
        find(field, "fabric", name, &self.fabrics, |f| (&f.name, &[]))
    }

    /// The model called `name` (such as `llama-3.1-70b` or `meta-llama/Llama-3.1-70B`), spelt as [`Catalog::gpu`]
    /// allows. A preset may name a feature that estimators refuse ([`Architecture::unsupported`]).
    ///
    /// # Errors
    /// [`Error::UnknownName`] at `field` with the nearest name.
    ///
    /// [`Architecture::unsupported`]: crate::model::Architecture::unsupported
    pub fn model(&self, field: &str, name: &str) -> Result<&ModelPreset, Error> {
        find(field, "model", name, &self.models, |m| (&m.architecture.name, &m.aliases))
    }

    /// Prices of `shape`, every region and term, in the order of the table.
    pub fn prices_of(&self, shape: &Shape) -> impl Iterator<Item = &Price> {
        self.prices.iter().filter(move |p| p.shape == shape.name)
    }
}

/// The item that `name` spells, by its canonical name or an alias.
pub(super) fn find<'a, T>(
    field: &str,
    kind: &'static str,
    name: &str,
    items: &'a [T],
    spellings: impl Fn(&T) -> (&str, &[String]),
) -> Result<&'a T, Error> {
    let canonical = items.iter().find(|item| same_name(spellings(item).0, name));
    let by_alias = || items.iter().find(|item| spellings(item).1.iter().any(|alias| same_name(alias, name)));
    if let Some(found) = canonical.or_else(by_alias) {
        return Ok(found);
    }
    // An alias may be nearer than any canonical name, but the canonical name is what a person should learn.
    let known: Vec<&str> = items.iter().map(|item| spellings(item).0).collect();
    let aliases = items.iter().flat_map(|item| {
        let (name, aliases) = spellings(item);
        aliases.iter().map(move |alias| (alias.as_str(), name))
    });
    let mut error = Error::unknown_name(field, kind, name, known);
    if let Error::UnknownName { nearest: nearest @ None, .. } = &mut error {
        let pairs: Vec<(&str, &str)> = aliases.collect();
        let alias = crate::error::nearest(name, pairs.iter().map(|(alias, _)| *alias));
        *nearest =
            alias.and_then(|a| pairs.iter().find(|(p, _)| *p == a).map(|(_, name)| (*name).to_owned()));
    }
    Err(error)
}

/// The two names are one, but for case, spaces, `-` and `_`.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    plain(a).eq(plain(b))
}

fn plain(name: &str) -> impl Iterator<Item = char> + '_ {
    name.trim().chars().map(|c| if matches!(c, ' ' | '_') { '-' } else { c.to_ascii_lowercase() })
}

/// No spelling means two rows of the table.
pub(super) fn check_spellings<'a>(
    table: &str,
    items: impl Iterator<Item = (&'a String, &'a Vec<String>)>,
) -> Result<(), Error> {
    let mut all: Vec<(String, &str)> = Vec::new();
    for (name, aliases) in items {
        for spelling in aliases.iter().chain([name]) {
            all.push((plain(spelling).collect(), name));
        }
    }
    all.sort_unstable();
    match all.windows(2).find_map(|pair| match pair {
        [(a, first), (b, second)] if a == b => Some((a, *first, *second)),
        _ => None,
    }) {
        None => Ok(()),
        Some((spelling, first, second)) => Err(Error::Conflict {
            field: table.to_owned(),
            message: if first == second {
                format!("{first} lists the spelling \"{spelling}\" twice")
            } else {
                format!("\"{spelling}\" means both {first} and {second}; drop one alias")
            },
        }),
    }
}
