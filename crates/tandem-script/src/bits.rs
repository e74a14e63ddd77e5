//! `bit`: operations on 32-bit numbers, as `LuaBitOp` has them. Source: <https://bitop.luajit.org/api.html>.

use mlua::{Lua, Table, Variadic};

/// The library.
pub(crate) fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("tobit", lua.create_function(|_, a: f64| Ok(signed(bits(a))))?)?;
    table.raw_set("bnot", lua.create_function(|_, a: f64| Ok(signed(!bits(a))))?)?;
    table.raw_set("bswap", lua.create_function(|_, a: f64| Ok(signed(bits(a).swap_bytes())))?)?;
    table.raw_set("tohex", lua.create_function(|_, (a, n): (f64, Option<f64>)| Ok(hex(a, n)))?)?;
    let folded = |name: &str, fold: fn(u32, u32) -> u32| {
        let function = lua.create_function(move |_, (first, rest): (f64, Variadic<f64>)| {
            Ok(signed(rest.iter().fold(bits(first), |all, next| fold(all, bits(*next)))))
        })?;
        table.raw_set(name, function)
    };
    folded("band", |a, b| a & b)?;
    folded("bor", |a, b| a | b)?;
    folded("bxor", |a, b| a ^ b)?;
    let shifted = |name: &str, shift: fn(u32, u32) -> u32| {
        let function = lua.create_function(move |_, (a, n): (f64, f64)| {
            Ok(signed(shift(bits(a), bits(n) & 31)))
        })?;
        table.raw_set(name, function)
    };
    shifted("lshift", |a, n| a << n)?;
    shifted("rshift", |a, n| a >> n)?;
    shifted("arshift", |a, n| (a.cast_signed() >> n).cast_unsigned())?;
    shifted("rol", u32::rotate_left)?;
    shifted("ror", u32::rotate_right)?;
    Ok(table)
}

/// The lowest 32 bits of a number, rounded to the nearest integer.
fn bits(number: f64) -> u32 {
    let rounded = number.round_ties_even().rem_euclid(4_294_967_296.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 up to 2^32: not negative, and it fits; no number is 0"
    )]
    {
        rounded as u32
    }
}

/// Results are signed.
fn signed(bits: u32) -> f64 {
    f64::from(bits.cast_signed())
}

fn hex(number: f64, digits: Option<f64>) -> String {
    let digits = bits(digits.unwrap_or(8.0)).cast_signed();
    let text = format!("{:08x}", bits(number));
    let shown = usize::try_from(digits.unsigned_abs().min(8)).unwrap_or(8);
    let text = text.get(8 - shown..).unwrap_or_default().to_owned();
    if digits < 0 { text.to_uppercase() } else { text }
}
