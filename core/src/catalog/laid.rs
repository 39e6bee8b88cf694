//! A catalogue under a user's overlay, kept for the next call that brings the same one.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use super::{Catalog, Overlay};
use crate::error::Error;

/// Overlaid catalogues that are kept, the latest used first: a loop over a few price lists finds them all again, and
/// memory stays at a few megabytes.
const MOST_KEPT: usize = 4;

/// The catalogue that a request is asked of: the one given, or that one with the request's overlay on it.
///
/// Reads as a [`Catalog`] and serialises as one.
#[derive(Debug, Clone)]
pub struct Laid<'a>(Held<'a>);

#[derive(Debug, Clone)]
enum Held<'a> {
    Given(&'a Catalog),
    Overlaid(Arc<Kept>),
}

#[derive(Debug)]
struct Kept {
    overlay: Overlay,
    catalog: Catalog,
}

static KEPT: Mutex<Vec<Arc<Kept>>> = Mutex::new(Vec::new());

impl Deref for Laid<'_> {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        match &self.0 {
            Held::Given(catalog) => catalog,
            Held::Overlaid(kept) => &kept.catalog,
        }
    }
}

impl Serialize for Laid<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl Catalog {
    /// This catalogue with the rows of a request's `overlay`, as [`Catalog::overlaid`] lays them; itself if there is none.
    ///
    /// Over the embedded tables the last few are kept, so that asking again with an equal overlay costs the comparison.
    ///
    /// # Errors
    /// As [`Catalog::overlaid`], with paths below `overlay`.
    pub fn with_overlay(&self, overlay: Option<&Overlay>) -> Result<Laid<'_>, Error> {
        let Some(overlay) = overlay.filter(|overlay| **overlay != Overlay::default()) else {
            return Ok(Laid(Held::Given(self)));
        };
        let lay = || {
            let catalog = self.overlaid(overlay).map_err(|error| error.within("overlay"))?;
            Ok(Arc::new(Kept { overlay: overlay.clone(), catalog }))
        };
        let embedded = Self::embedded().is_ok_and(|embedded| std::ptr::eq(embedded, self));
        if !embedded {
            return lay().map(Held::Overlaid).map(Laid);
        }
        // Compared and laid without the lock: neither a large table nor a slow thread holds up the others.
        let known = locked(|kept| kept.clone());
        let found = match known.into_iter().find(|one| one.overlay == *overlay) {
            Some(found) => found,
            None => lay()?,
        };
        locked(|kept| keep_first(kept, &found));
        Ok(Laid(Held::Overlaid(found)))
    }
}

/// Nothing here can leave the list half-written, so a panic elsewhere under the lock does not spoil it.
fn locked<T>(act: impl FnOnce(&mut Vec<Arc<Kept>>) -> T) -> T {
    act(&mut KEPT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Puts `used` first; the one that was not used for longest falls out. Two threads may have laid the same one: the later
/// stays.
fn keep_first(kept: &mut Vec<Arc<Kept>>, used: &Arc<Kept>) {
    match kept.iter().position(|one| Arc::ptr_eq(one, used)) {
        Some(at) => kept[..=at].rotate_right(1),
        None => {
            kept.truncate(MOST_KEPT - 1);
            kept.insert(0, Arc::clone(used));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Table;

    fn price(usd: u32) -> Overlay {
        let csv = format!("shape,region,term,usd_per_gpu_hour\nBM.GPU.H100.8,all-commercial,payg,{usd}");
        Overlay { prices: Some(Table::Csv(csv)), ..Overlay::default() }
    }

    fn laid(overlay: &Overlay) -> Arc<Kept> {
        match Catalog::embedded().unwrap().with_overlay(Some(overlay)).unwrap().0 {
            Held::Overlaid(kept) => kept,
            Held::Given(_) => panic!("an overlay with rows is laid"),
        }
    }

    // One test, for the list is one.
    #[test]
    fn what_is_kept_is_what_would_be_laid_and_no_more_than_a_few() {
        let embedded = Catalog::embedded().unwrap();
        for round in 0..3 {
            for usd in 1..9 {
                let overlay = price(usd);
                let kept = laid(&overlay);
                assert_eq!(kept.catalog, embedded.overlaid(&overlay).unwrap(), "{round} {usd}");
                assert!(locked(|kept| kept.len()) <= MOST_KEPT);
            }
        }
        let first = laid(&price(8));
        for usd in [7, 6, 5] {
            laid(&price(usd));
        }
        assert!(Arc::ptr_eq(&first, &laid(&price(8))), "the four latest are kept");
        for usd in [1, 2, 3, 4] {
            laid(&price(usd));
        }
        assert!(!Arc::ptr_eq(&first, &laid(&price(8))), "the fifth is not");
        // Over another catalogue nothing is kept, and nothing kept is taken.
        let other = embedded.overlaid(&price(3)).unwrap();
        let both = other.with_overlay(Some(&Overlay { prices: None, ..price(8) })).unwrap();
        assert_eq!(*both, other);
        let text = "name,operator,kind,scale_up_domain,scale_up_gb_per_s,injection_gb_per_s_per_gpu\nmine,oci,roce_v2,8,450,50";
        let fabric = Overlay { fabrics: Some(Table::Csv(text.to_owned())), ..Overlay::default() };
        assert!(embedded.with_overlay(Some(&fabric)).unwrap().prices != other.prices);
        assert!(other.with_overlay(Some(&fabric)).unwrap().prices == other.prices);
    }
}
