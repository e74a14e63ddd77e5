//! What the commands that wait (`BLPOP` and its kin) share: time-outs, and the request to wait.

use crate::call::{BlockRequest, Ctx, TimeoutReply};
use crate::failure::Failure;

/// Reads a time-out in seconds, decimals allowed; `None` is for ever.
pub(crate) fn timeout(ctx: &Ctx<'_>, at: usize) -> Result<Option<u64>, Failure> {
    // The end of the wait, as milliseconds since 1970, has to fit 63 bits.
    const MILLIS_MAX: f64 = 9.223_372_036_854_775e18;
    const OUT_OF_RANGE: Failure = Failure::Text("ERR timeout is out of range");
    let seconds = tandem_resp::parse_f64(ctx.arg(at))
        .ok_or(Failure::Text("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(Failure::Text("ERR timeout is negative"));
    }
    let millis = (seconds * 1000.0).ceil();
    if millis > MILLIS_MAX {
        return Err(OUT_OF_RANGE);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^63, whole"
    )]
    let millis = millis as u64;
    if ctx.keys.now().get().checked_add(millis).is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(OUT_OF_RANGE);
    }
    Ok((millis > 0).then_some(millis))
}

/// Nothing was there: waits for one of the keys, or answers at once where waiting is not allowed.
pub(crate) fn wait_for<'k>(
    ctx: &mut Ctx<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
    timeout_ms: Option<u64>,
    at_once: TimeoutReply,
) {
    if ctx.deny_blocking {
        match at_once {
            TimeoutReply::NullArray | TimeoutReply::RunAgain => ctx.reply.null_array(),
            TimeoutReply::Null => ctx.reply.null(),
        }
        return;
    }
    ctx.block = Some(BlockRequest {
        keys: keys.map(Box::from).collect(),
        timeout_ms,
        // Redis answers so whatever the command.
        on_timeout: TimeoutReply::NullArray,
        words: None,
        needs: Vec::new(),
    });
}

/// What a look at one key found; if the command waited before, a key of another type is as good as
/// none: the client goes on waiting, as in Redis.
pub(crate) fn not_yet<T: Default>(ctx: &Ctx<'_>, found: Result<T, Failure>) -> Result<T, Failure> {
    match found {
        Err(Failure::WrongType) if ctx.woken => Ok(T::default()),
        found => found,
    }
}
