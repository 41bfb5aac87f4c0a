//! A model's chat template: from messages to the one text that the model was trained to answer.
//!
//! Rendered as transformers does it (`utils/chat_template_utils.py`): Jinja with `trim_blocks` and `lstrip_blocks`,
//! loop controls, Python's methods on strings, lists and dicts, and the functions `raise_exception` and `strftime_now`.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::error::EngineError;

const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: Option<String>,
    eos_token: Option<String>,
}

impl ChatTemplate {
    /// Compiles `source`. `model` is named in the error.
    pub fn new(
        model: &Path,
        source: String,
        bos_token: Option<String>,
        eos_token: Option<String>,
    ) -> Result<Self, EngineError> {
        let mut environment = Environment::new();
        environment
            .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(bad(model))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", |format: &str| jiff::Timestamp::now().strftime(format).to_string());
        environment.add_template_owned(NAME, without_generation_tags(&source)).map_err(bad(model))?;
        Ok(ChatTemplate { environment, bos_token, eos_token })
    }

    /// The prompt for `messages`, which ends where the assistant's answer begins.
    pub fn render<M: Serialize>(&self, messages: &[M]) -> Result<String, EngineError> {
        let render = || {
            self.environment.get_template(NAME)?.render(context! {
                messages => Value::from(Serde(messages)),
                add_generation_prompt => true,
                bos_token => self.bos_token.as_deref(),
                eos_token => self.eos_token.as_deref(),
                tools => (),
                documents => (),
            })
        };
        render().map_err(|error| EngineError::Request {
            param: Some("messages"),
            message: format!("the model's chat template refuses these messages: {error}"),
        })
    }
}

/// transformers marks the assistant's text with `{% generation %}` for training; for a prompt the tags mean nothing, but
/// their whitespace control does.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{%") {
        out.push_str(before);
        out.push_str("{%");
        let Some((tag, tail)) = after.split_once("%}") else {
            rest = after;
            break;
        };
        out.push_str(&match tag.trim_matches(['-', '+', ' ', '\n']) {
            "generation" => tag.replace("generation", "if true"),
            "endgeneration" => tag.replace("endgeneration", "endif"),
            _ => tag.to_owned(),
        });
        out.push_str("%}");
        rest = tail;
    }
    out + rest
}

fn bad(model: &Path) -> impl Fn(Error) -> EngineError + '_ {
    move |error| EngineError::Model { path: model.to_owned(), what: format!("its chat template is broken: {error}") }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`: minijinja's own filter escapes HTML and has other separators.
fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut text = Vec::new();
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut text, PythonSeparators)),
        Some(width) => {
            let spaces = " ".repeat(width);
            let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut text, formatter))
        }
    };
    let fault = |error: String| Error::new(ErrorKind::BadSerialization, error);
    written.map_err(|error| fault(error.to_string()))?;
    String::from_utf8(text).map_err(|error| fault(error.to_string()))
}

/// A space after every comma and colon.
struct PythonSeparators;

impl Formatter for PythonSeparators {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
#[path = "chat_template_tests.rs"]
mod tests;
