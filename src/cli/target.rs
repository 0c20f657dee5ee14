use super::args::TargetArgs;
use super::{Exit, Failure};
use crate::config::{Config, SellerConfig};

/// The one source that a command is about.
pub(super) fn of<'c>(config: &'c Config, args: &TargetArgs) -> Result<&'c SellerConfig, Failure> {
    let of_seller: Vec<&SellerConfig> =
        config.sellers.iter().filter(|one| one.seller.as_str() == args.seller).collect();
    if of_seller.is_empty() {
        let what = format!("{} has no seller {}", config.file.display(), args.seller);
        let mut known: Vec<&str> = config.sellers.iter().map(|one| one.seller.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        return Err(Failure::new(Exit::Usage, what, &format!("name one of {}", known.join(", "))));
    }
    let wanted = |one: &&&SellerConfig| {
        args.source.as_ref().is_none_or(|source| one.source.name.as_str() == source)
    };
    let mut chosen = of_seller.iter().filter(wanted);
    match (chosen.next(), chosen.next()) {
        (Some(one), None) => Ok(one),
        _ => {
            let seller = &args.seller;
            let known: Vec<&str> = of_seller.iter().map(|one| one.source.name.as_str()).collect();
            let what = match &args.source {
                Some(source) => format!("seller {seller} has no source {source}"),
                None => format!("seller {seller} has several sources"),
            };
            let fix = format!("say which: --source with one of {}", known.join(", "));
            Err(Failure::new(Exit::Usage, what, &fix))
        }
    }
}
