use super::args::TargetArgs;
use super::{Exit, Failure};
use crate::config::{Config, SellerConfig};

/// The one source that a command is about.
pub(super) fn of<'c>(config: &'c Config, args: &TargetArgs) -> Result<&'c SellerConfig, Failure> {
    let of_seller: Vec<&SellerConfig> =
        config.sellers.iter().filter(|one| one.seller.as_str() == args.seller).collect();
    let names = |sellers: &[&SellerConfig]| {
        let name = |one: &&SellerConfig| format!("{}/{}", one.seller, one.source.name);
        sellers.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    if of_seller.is_empty() {
        let what = format!("{} has no seller {}", config.file.display(), args.seller);
        let all: Vec<&SellerConfig> = config.sellers.iter().collect();
        return Err(Failure::new(Exit::Usage, what, &format!("name one of {}", names(&all))));
    }
    let wanted = |one: &&&SellerConfig| {
        args.source.as_ref().is_none_or(|source| one.source.name.as_str() == source)
    };
    let mut chosen = of_seller.iter().filter(wanted);
    match (chosen.next(), chosen.next()) {
        (Some(one), None) => Ok(one),
        _ => {
            let (seller, known) = (&args.seller, names(&of_seller));
            let (what, fix) = match &args.source {
                Some(source) => (format!("{seller} has no source {source}"), "name one of those"),
                None => (format!("{seller} has several sources"), "say which: --source NAME"),
            };
            Err(Failure::new(Exit::Usage, format!("{what}: there are {known}"), fix))
        }
    }
}
