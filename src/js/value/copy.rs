//! Text and bytes, copied between JavaScript's memory and ours.

use std::ptr;

use engine::process::buffer_pool::keep;
use engine::process::{try_room, try_room_for_bytes};
use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, sys};

use crate::js::value::once::{Once, run_script};
use crate::js::value::raw::{self, value};
use crate::js::value::thrown::{Result, check, no_memory};

/// A string of these code units.
pub fn string_utf16<'env>(env: &'env Env, units: &[u16]) -> Result<'env, Unknown<'env>> {
    // SAFETY: `units` is valid memory of that length.
    value(env, |raw| unsafe {
        sys::napi_create_string_utf16(env.raw(), units.as_ptr(), units.len() as isize, raw)
    })
}

/// A string; `ascii` text is only copied, not decoded.
pub fn string<'env>(env: &'env Env, text: &str, ascii: bool) -> Result<'env, Unknown<'env>> {
    let (start, length) = (text.as_ptr().cast(), text.len() as isize);
    value(env, |raw| {
        // SAFETY: `text` is valid UTF-8 of that length, and ASCII is Latin-1.
        unsafe {
            if ascii {
                sys::napi_create_string_latin1(env.raw(), start, length, raw)
            } else {
                sys::napi_create_string_utf8(env.raw(), start, length, raw)
            }
        }
    })
}

/// The longest character and the NUL that N-API adds, and some.
const SPARE: usize = 8;

/// A string's bytes, if all of it is ASCII: half the memory of its code units, and nothing to encode.
pub fn ascii<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, Option<Vec<u8>>> {
    // With so much to spare, a text that comes to as many bytes as it has code units was ASCII throughout: any other would be longer.
    // Most text that is not ASCII shows it early: then only this much was converted in vain.
    const PROBE: usize = 4096;

    let length = length(env, text)?;
    if length > PROBE && !utf8(env, text, Vec::with_capacity(PROBE))?.is_ascii() {
        return Ok(None);
    }
    let bytes = utf8(env, text, try_room_for_bytes(length + SPARE).ok_or_else(|| no_memory(env))?)?;
    if bytes.len() == length {
        return Ok(Some(bytes));
    }
    keep(bytes);
    Ok(None)
}

/// As much of a string as `room` has capacity for, in UTF-8.
fn utf8<'env>(env: &'env Env, text: &Unknown<'_>, mut room: Vec<u8>) -> Result<'env, Vec<u8>> {
    let mut copied = 0;
    // SAFETY: writes within the capacity, NUL included, and tells how much without it.
    unsafe {
        let start = room.as_mut_ptr().cast();
        let status =
            sys::napi_get_value_string_utf8(env.raw(), text.raw(), start, room.capacity(), &mut copied);
        check(env, status)?;
        room.set_len(copied);
    }
    Ok(room)
}

/// A string's first code unit.
pub fn first_unit<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, Option<u16>> {
    // With room for the NUL that N-API adds.
    let mut first = [0u16; 2];
    let mut copied = 0;
    // SAFETY: writes at most two units, NUL included.
    check(env, unsafe {
        sys::napi_get_value_string_utf16(env.raw(), text.raw(), first.as_mut_ptr(), first.len(), &mut copied)
    })?;
    Ok((copied > 0).then_some(first[0]))
}

/// A string's length in code units.
fn length<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, usize> {
    let mut length = 0;
    // SAFETY: without a buffer the call only tells the length.
    check(env, unsafe {
        sys::napi_get_value_string_utf16(env.raw(), text.raw(), ptr::null_mut(), 0, &mut length)
    })?;
    Ok(length)
}

/// A string's code units, as they are: lone surrogates too.
pub fn utf16<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, Vec<u16>> {
    let mut length = length(env, text)?;
    let mut units = try_room(length + 1).ok_or_else(|| no_memory(env))?;
    // SAFETY: room for `length` units and the NUL that N-API adds; that many were written.
    unsafe {
        let status = sys::napi_get_value_string_utf16(
            env.raw(),
            text.raw(),
            units.as_mut_ptr(),
            length + 1,
            &mut length,
        );
        check(env, status)?;
        units.set_len(length);
    }
    Ok(units)
}

/// A string as UTF-8, for names and the like: lone surrogates become U+FFFD, as in `node:fs`.
pub fn text<'env>(env: &'env Env, from: &Unknown<'_>) -> Result<'env, String> {
    // Most take one trip: what leaves room for another character is all of it.
    const SHORT: usize = 256;
    if let Ok(text) = String::from_utf8(utf8(env, from, Vec::with_capacity(SHORT))?)
        && text.len() + SPARE < SHORT
    {
        return Ok(text);
    }
    match ascii(env, from)?.map(String::from_utf8) {
        Some(Ok(text)) => Ok(text),
        _ => Ok(String::from_utf16_lossy(&utf16(env, from)?)),
    }
}

/// Whether a value is a `Uint8Array`, of whatever realm.
pub fn is_uint8_array(env: &Env, value: &Unknown<'_>) -> bool {
    let (mut is, mut kind) = (false, 0);
    // SAFETY: plain calls on a value of the current scope; only the kind is asked for.
    unsafe {
        sys::napi_is_typedarray(env.raw(), value.raw(), &mut is) == sys::Status::napi_ok
            && is
            && sys::napi_get_typedarray_info(
                env.raw(),
                value.raw(),
                &mut kind,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            ) == sys::Status::napi_ok
            && (kind == sys::TypedarrayType::uint8_array || kind == sys::TypedarrayType::uint8_clamped_array)
    }
}

/// The bytes of any view or array buffer, copied; `None` for other values.
pub fn bytes<'env>(env: &'env Env, from: &Unknown<'_>) -> Result<'env, Option<Vec<u8>>> {
    let (node, from) = (env.raw(), from.raw());
    let (mut start, mut length) = (ptr::null_mut(), 0);
    let mut is = false;
    // SAFETY: each `info` call is made on a value that was found to be of its type, and fills in
    // the start and the length of memory that V8 keeps while this call runs. An empty view may have
    // no memory at all.
    unsafe {
        let known = if sys::napi_is_typedarray(node, from, &mut is) == sys::Status::napi_ok && is {
            let mut kind = 0;
            let status = sys::napi_get_typedarray_info(
                node,
                from,
                &mut kind,
                &mut length,
                &mut start,
                ptr::null_mut(),
                ptr::null_mut(),
            );
            length *= element_size(kind);
            status
        } else if sys::napi_is_dataview(node, from, &mut is) == sys::Status::napi_ok && is {
            sys::napi_get_dataview_info(node, from, &mut length, &mut start, ptr::null_mut(), ptr::null_mut())
        } else if sys::napi_is_arraybuffer(node, from, &mut is) == sys::Status::napi_ok && is {
            sys::napi_get_arraybuffer_info(node, from, &mut start, &mut length)
        } else {
            return Ok(None);
        };
        if known != sys::Status::napi_ok {
            return Ok(None);
        }
        if start.is_null() || length == 0 {
            return Ok(Some(Vec::new()));
        }
        let mut copy = try_room_for_bytes(length).ok_or_else(|| no_memory(env))?;
        copy.extend_from_slice(std::slice::from_raw_parts(start.cast::<u8>(), length));
        Ok(Some(copy))
    }
}

/// Whether JavaScript has given a buffer's memory away, or that of a view's buffer. No property is asked for: a class of a caller's may
/// have its own.
pub fn is_detached<'env>(env: &'env Env, data: &Unknown<'_>) -> Result<'env, bool> {
    let (node, view) = (env.raw(), data.raw());
    let (mut is, mut is_data_view, mut buffer) = (false, false, view);
    // SAFETY: values of the current scope, each asked for what it was found to be, and valid places for the results; what is no array
    // buffer is not detached.
    unsafe {
        if raw::is_typed_array(env, data) {
            let (kind, length, data, offset) =
                (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            check(env, sys::napi_get_typedarray_info(node, view, kind, length, data, &mut buffer, offset))?;
        } else if sys::napi_is_dataview(node, view, &mut is_data_view) == sys::Status::napi_ok && is_data_view
        {
            let (length, data, offset) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            check(env, sys::napi_get_dataview_info(node, view, length, data, &mut buffer, offset))?;
        }
        let known = sys::napi_is_detached_arraybuffer(node, buffer, &mut is);
        Ok(known == sys::Status::napi_ok && is)
    }
}

thread_local! {
    static LOOKS: Once = const { Once::new() };
}

/// JavaScript's own functions that throw for a view beyond the end of its buffer, and look at nothing of a caller's. To be called first where
/// the addon is loaded, before anybody can have put others in their place.
pub fn looks(env: &Env) -> Result<'_, Unknown<'_>> {
    const SCRIPT: &str = "[Object.getPrototypeOf(Uint8Array.prototype).keys, \
                          Object.getOwnPropertyDescriptor(DataView.prototype, 'byteLength').get]";
    LOOKS.with(|looks| looks.get(env, || run_script(env, SCRIPT)))
}

/// Whether a view without bytes has none because its buffer was made shorter. N-API does not tell.
pub fn is_out_of_bounds<'env>(env: &'env Env, data: &Unknown<'_>) -> Result<'env, bool> {
    let mut is_data_view = false;
    // SAFETY: a value of the current scope, and a valid place for the result.
    check(env, unsafe { sys::napi_is_dataview(env.raw(), data.raw(), &mut is_data_view) })?;
    if !is_data_view && !raw::is_typed_array(env, data) {
        return Ok(false);
    }
    let look = raw::item(env, &looks(env)?, u32::from(is_data_view))?;
    Ok(raw::call(env, data, &look, &[]).is_err())
}

fn element_size(kind: sys::napi_typedarray_type) -> usize {
    use sys::TypedarrayType as T;
    match kind {
        T::int16_array | T::uint16_array => 2,
        T::int32_array | T::uint32_array | T::float32_array => 4,
        T::float64_array | T::bigint64_array | T::biguint64_array => 8,
        // Float16Array, on the Node versions that have it, has the number after these.
        11 => 2,
        _ => 1,
    }
}
