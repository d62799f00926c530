//! Reads conditions.
//!
//! The grammar is the Falco rule language's:
//!
//! ```text
//! or      := and ("or" and)*
//! and     := not ("and" not)*
//! not     := "not" not | "(" or ")" | check | macro
//! check   := operand ("exists" | operator (value | other | quantifier list) | list-operator (list | other))
//! operand := transformer "(" given ("," given)* ")" | field ("[" (quoted | bare) "]")?
//! given   := operand | quoted | number | "(" (given ("," given)*)? ")"
//! other   := "val" "(" operand ")" | transformer "(" given ("," given)* ")"
//! list    := "(" (value ("," value)*)? ")" | name
//! value   := quoted | bare
//! ```
//!
//! A recursive descent: every level of nesting is counted and bounded, so no text can exhaust the stack.

use std::fmt;

use winnow::combinator::{alt, cut_err, delimited, opt, peek, preceded, repeat, separated};
use winnow::error::{ContextError, ErrMode};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location, Stateful};
use winnow::token::{any, one_of, take_while};

use super::condition::{
    Argument, Check, Expr, ListOperator, Operand, Operator, Quantifier, Test, Transformer, Value,
};

/// How deep parentheses, `not` and transformers may be nested in one condition.
pub const MAX_DEPTH: usize = 64;

/// Reads a condition.
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let mut input = Stateful {
        input: LocatingSlice::new(text),
        state: State::default(),
    };
    match condition(&mut input) {
        Ok(expr) => Ok(expr),
        Err(_) => Err(error(text, &mut input)),
    }
}

/// Reads an operand at the beginning of a text, and tells how much of the text it is.
pub(super) fn parse_operand(text: &str) -> Result<(Operand, usize), SyntaxError> {
    let mut input = Stateful {
        input: LocatingSlice::new(text),
        state: State::default(),
    };
    match operand(&mut input) {
        Ok(operand) => Ok((operand, input.current_token_start())),
        Err(_) => Err(error(text, &mut input)),
    }
}

fn error(text: &str, input: &mut Input<'_>) -> SyntaxError {
    let complaint = input.state.complaint.take();
    let (offset, kind) = complaint.unwrap_or_else(|| (input.current_token_start(), Complaint::Unexpected));
    SyntaxError {
        offset,
        kind,
        near: text
            .get(offset..)
            .unwrap_or_default()
            .chars()
            .take(24)
            .collect::<String>()
            .trim_end()
            .to_owned(),
    }
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    offset: usize,
    near: String,
    kind: Complaint,
}

impl SyntaxError {
    /// Where in the text, in bytes from its start.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { near, kind, .. } = self;
        if near.is_empty() {
            write!(f, "{kind} at the end")
        } else {
            write!(f, "{kind} at {near:?}")
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Complaint {
    #[error("a field, a macro, `not` or `(` is expected")]
    Unexpected,
    #[error("nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("a field is followed by an operator or `exists`, which this is not:")]
    Operator,
    #[error("a value is expected")]
    Value,
    #[error("a list in parentheses, or the name of one, is expected")]
    List,
    #[error("`)` is expected")]
    Parenthesis,
    #[error("an argument and `]` are expected")]
    Argument,
    #[error("`and`, `or` or the end is expected")]
    Trailing,
    #[error("the name of a field is expected")]
    Field,
    #[error("an argument of a transformer is expected: a field, a quoted text, a number or a list")]
    Given,
    #[error("`val` is only for the right of an operator, not")]
    Misplaced,
    #[error("an escape that is none of \\b \\f \\n \\r \\t \\\\ \\/ \\\" \\' \\x00 to \\x7f")]
    Escape,
    #[error("the closing quote is missing")]
    Quote,
}

#[derive(Debug, Default)]
struct State {
    depth: usize,
    complaint: Option<(usize, Complaint)>,
}

type Input<'s> = Stateful<LocatingSlice<&'s str>, State>;

fn condition(input: &mut Input<'_>) -> ModalResult<Expr> {
    let expr = or_expr(input)?;
    if input.eof_offset() > 0 {
        return refuse(input, Complaint::Trailing);
    }
    Ok(expr)
}

fn or_expr(input: &mut Input<'_>) -> ModalResult<Expr> {
    chain(input, "or", and_expr, Expr::Or)
}

fn and_expr(input: &mut Input<'_>) -> ModalResult<Expr> {
    chain(input, "and", not_expr, Expr::And)
}

fn chain(
    input: &mut Input<'_>,
    word: &'static str,
    part: fn(&mut Input<'_>) -> ModalResult<Expr>,
    join: fn(Vec<Expr>) -> Expr,
) -> ModalResult<Expr> {
    let first = part(input)?;
    let rest: Vec<Expr> = repeat(0.., preceded(keyword(word), cut_err(part))).parse_next(input)?;
    if rest.is_empty() {
        return Ok(first);
    }
    let mut parts = vec![first];
    parts.extend(rest);
    Ok(join(parts))
}

fn not_expr(input: &mut Input<'_>) -> ModalResult<Expr> {
    blank(input)?;
    if opt(keyword("not")).parse_next(input)?.is_some() {
        return Ok(Expr::Not(Box::new(nested(input, not_expr)?)));
    }
    if opt('(').parse_next(input)?.is_some() {
        let inner = nested(input, or_expr)?;
        close(input, ')', Complaint::Parenthesis)?;
        return Ok(inner);
    }
    check_or_macro(input)
}

fn check_or_macro(input: &mut Input<'_>) -> ModalResult<Expr> {
    let word = peek(opt(word)).parse_next(input)?;
    // A keyword in this place is a missing operand, not a macro of that name.
    let Some(word) = word.filter(|word| !["and", "or", "not"].contains(word)) else {
        return refuse(input, Complaint::Unexpected);
    };
    if word.contains('.') || peek(opt(transformer)).parse_next(input)?.is_some() {
        let operand = operand(input)?;
        let test = test(input)?;
        blank(input)?;
        return Ok(Expr::Check(Check { operand, test }));
    }
    let name = word.to_owned();
    take_while(1.., is_word).void().parse_next(input)?;
    blank(input)?;
    Ok(Expr::Macro(name))
}

fn operand(input: &mut Input<'_>) -> ModalResult<Operand> {
    blank(input)?;
    let at = input.current_token_start();
    if let Some(transformer) = opt(transformer).parse_next(input)? {
        if transformer == Transformer::Value {
            return refuse_at(input, at, Complaint::Misplaced);
        }
        return call(input, transformer);
    }
    field(input)
}

/// What follows the opening parenthesis of a transformer.
fn call(input: &mut Input<'_>, transformer: Transformer) -> ModalResult<Operand> {
    let arguments = nested(input, arguments)?;
    close(input, ')', Complaint::Parenthesis)?;
    Ok(Operand::Call(transformer, arguments))
}

fn arguments(input: &mut Input<'_>) -> ModalResult<Vec<Argument>> {
    separated(1.., delimited(blank, given, blank), ',').parse_next(input)
}

fn given(input: &mut Input<'_>) -> ModalResult<Argument> {
    if let Some(quote) = peek(opt(one_of(['"', '\'']))).parse_next(input)? {
        return Ok(Argument::Text(quoted(input, quote)?.text));
    }
    if opt('(').parse_next(input)?.is_some() {
        blank(input)?;
        if opt(')').parse_next(input)?.is_some() {
            return Ok(Argument::List(Vec::new()));
        }
        let items = nested(input, arguments)?;
        close(input, ')', Complaint::Parenthesis)?;
        return Ok(Argument::List(items));
    }
    let number = (
        one_of(|c: char| c.is_ascii_digit() || "+-".contains(c)),
        take_while(0.., is_word),
    )
        .take();
    if let Some(number) = opt(number).parse_next(input)? {
        let number: &str = number;
        return Ok(Argument::Text(number.to_owned()));
    }
    if peek(opt(word)).parse_next(input)?.is_none() {
        return refuse(input, Complaint::Given);
    }
    operand(input).map(Argument::Operand)
}

fn field(input: &mut Input<'_>) -> ModalResult<Operand> {
    let Some(name) = opt(word.verify(|word: &str| is_field_name(word))).parse_next(input)? else {
        return refuse(input, Complaint::Field);
    };
    let name = name.to_owned();
    let argument = if opt('[').parse_next(input)?.is_some() {
        let quote = peek(opt(one_of(['"', '\'']))).parse_next(input)?;
        let text = if let Some(quote) = quote {
            quoted(input, quote)?.text
        } else {
            let text = take_while(1.., |c: char| !c.is_whitespace() && !"[]\"'".contains(c));
            let Some(text) = opt(text).parse_next(input)? else {
                return refuse(input, Complaint::Argument);
            };
            let text: &str = text;
            text.to_owned()
        };
        close(input, ']', Complaint::Argument)?;
        Some(text)
    } else {
        None
    };
    Ok(Operand::Field { name, argument })
}

/// Another value of the event, on the right of an operator: `val(…)` or another transformer.
fn other(input: &mut Input<'_>) -> ModalResult<Option<Operand>> {
    blank(input)?;
    let Some(transformer) = opt(transformer).parse_next(input)? else {
        return Ok(None);
    };
    if transformer == Transformer::Value {
        blank(input)?;
        let inner = field(input)?;
        close(input, ')', Complaint::Parenthesis)?;
        return Ok(Some(Operand::Call(transformer, vec![Argument::Operand(inner)])));
    }
    call(input, transformer).map(Some)
}

fn transformer(input: &mut Input<'_>) -> ModalResult<Transformer> {
    (
        word.verify_map(|word| lookup(&Transformer::NAMES, word)),
        blank,
        '(',
    )
        .map(|(transformer, (), _)| transformer)
        .parse_next(input)
}

fn test(input: &mut Input<'_>) -> ModalResult<Test> {
    blank(input)?;
    if opt(keyword("exists")).parse_next(input)?.is_some() {
        return Ok(Test::Exists);
    }
    let by_symbol = alt(Operator::SYMBOLS.map(|(symbol, operator)| symbol.value(operator)));
    let by_word = word.verify_map(|word| lookup(&Operator::WORDS, word));
    if let Some(operator) = opt(alt((by_symbol, by_word))).parse_next(input)? {
        if let Some(other) = other(input)? {
            return Ok(Test::Other(operator, other));
        }
        if let Some(quantifier) = opt(quantifier).parse_next(input)? {
            return Ok(Test::Each(operator, quantifier, list(input)?));
        }
        return Ok(Test::One(operator, value(input)?));
    }
    let by_word = word.verify_map(|word| lookup(&ListOperator::NAMES, word));
    if let Some(operator) = opt(by_word).parse_next(input)? {
        if let Some(other) = other(input)? {
            return Ok(Test::OtherMany(operator, other));
        }
        return Ok(Test::Many(operator, list(input)?));
    }
    refuse(input, Complaint::Operator)
}

/// `oneof`, `anyof` or `allof`, where a list follows: else it is a value that happens to be called so.
fn quantifier(input: &mut Input<'_>) -> ModalResult<Quantifier> {
    let quantifier = word.verify_map(|word| lookup(&Quantifier::NAMES, word));
    let list = peek((
        blank,
        alt((
            '('.void(),
            word.verify(|word: &str| !["and", "or"].contains(&word)).void(),
        )),
    ));
    (quantifier, list)
        .map(|(quantifier, _)| quantifier)
        .parse_next(input)
}

fn list(input: &mut Input<'_>) -> ModalResult<Vec<Value>> {
    blank(input)?;
    if opt('(').parse_next(input)?.is_none() {
        let Some(name) = opt(word).parse_next(input)? else {
            return refuse(input, Complaint::List);
        };
        let name = Value {
            text: name.to_owned(),
            quoted: false,
        };
        return Ok(vec![name]);
    }
    blank(input)?;
    if opt(')').parse_next(input)?.is_some() {
        return Ok(Vec::new());
    }
    let values = separated(1.., delimited(blank, value, blank), ',').parse_next(input)?;
    close(input, ')', Complaint::Parenthesis)?;
    Ok(values)
}

fn value(input: &mut Input<'_>) -> ModalResult<Value> {
    let quote = peek(opt(one_of(['"', '\'']))).parse_next(input)?;
    if let Some(quote) = quote {
        return quoted(input, quote);
    }
    let bare = take_while(1.., |c: char| !c.is_whitespace() && !"()\"'=,".contains(c));
    let Some(text) = opt(bare).parse_next(input)? else {
        return refuse(input, Complaint::Value);
    };
    let text: &str = text;
    Ok(Value {
        text: text.to_owned(),
        quoted: false,
    })
}

fn quoted(input: &mut Input<'_>, quote: char) -> ModalResult<Value> {
    any.void().parse_next(input)?;
    let mut text = String::new();
    loop {
        let plain: &str = take_while(0.., |c: char| c != quote && c != '\\').parse_next(input)?;
        text.push_str(plain);
        match opt(any).parse_next(input)? {
            None => return refuse(input, Complaint::Quote),
            Some('\\') => {}
            Some(_) => return Ok(Value { text, quoted: true }),
        }
        text.push(match opt(any).parse_next(input)? {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c @ ('\\' | '/' | '"' | '\'')) => c,
            // What Falco's own rules have, and mean by it.
            Some(' ') => '\\',
            Some('x') => {
                let digits = opt(take_while(2..=2, |c: char| c.is_ascii_hexdigit())).parse_next(input)?;
                match digits.and_then(|digits: &str| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) if byte.is_ascii() => byte.into(),
                    _ => return refuse(input, Complaint::Escape),
                }
            }
            _ => return refuse(input, Complaint::Escape),
        });
    }
}

/// A word that stands alone: no letter of another word follows.
fn keyword<'s>(expected: &'static str) -> impl Parser<Input<'s>, (), ErrMode<ContextError>> {
    (blank, word.verify(move |word: &str| word == expected), blank).void()
}

/// Letters, digits, `_` and `.`, beginning with a letter: a keyword, a field, a macro or a transformer.
fn word<'s>(input: &mut Input<'s>) -> ModalResult<&'s str> {
    (
        one_of(|c: char| c.is_ascii_alphabetic()),
        take_while(0.., is_word),
    )
        .take()
        .parse_next(input)
}

fn blank(input: &mut Input<'_>) -> ModalResult<()> {
    take_while(0.., |c: char| c.is_whitespace())
        .void()
        .parse_next(input)
}

fn close(input: &mut Input<'_>, bracket: char, complaint: Complaint) -> ModalResult<()> {
    blank(input)?;
    if opt(bracket).parse_next(input)?.is_none() {
        return refuse(input, complaint);
    }
    if bracket == ')' {
        blank(input)?;
    }
    Ok(())
}

fn nested<T>(input: &mut Input<'_>, inner: fn(&mut Input<'_>) -> ModalResult<T>) -> ModalResult<T> {
    if input.state.depth >= MAX_DEPTH {
        return refuse(input, Complaint::TooDeep);
    }
    input.state.depth += 1;
    let parsed = inner(input)?;
    input.state.depth -= 1;
    Ok(parsed)
}

/// Stops all parsing with this complaint about what comes next.
fn refuse<T>(input: &mut Input<'_>, complaint: Complaint) -> ModalResult<T> {
    let offset = input.current_token_start();
    refuse_at(input, offset, complaint)
}

/// Stops all parsing with this complaint about what is there.
fn refuse_at<T>(input: &mut Input<'_>, offset: usize, complaint: Complaint) -> ModalResult<T> {
    input.state.complaint.get_or_insert((offset, complaint));
    Err(ErrMode::Cut(ContextError::new()))
}

fn lookup<T: Copy>(names: &[(&str, T)], word: &str) -> Option<T> {
    names
        .iter()
        .find(|(name, _)| *name == word)
        .map(|&(_, item)| item)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

fn is_field_name(word: &str) -> bool {
    word.contains('.')
        && word
            .split('.')
            .all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()))
}
