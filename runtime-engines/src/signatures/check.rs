//! Compiles single tests: looks fields up, checks types, reads values.

use super::address::{Network, Networks};
use super::condition::{
    Argument as Passed, Check, ListOperator, Operand as Written, Operator, Test, Transformer,
};
use super::error::ConditionError;
use super::field::{self, Argument, FIELDS, Field, FieldType, Given, RawKind};
use super::operand::{Base, Operand, Part, Step};
use super::predicate::{Comparison, NumberTest, Predicate};
use super::text::{Affixes, Order, Paths, TextSet, TextTest};
use super::types;

/// A test, its lists being spelt out by `values`, and how many parts it has.
pub(super) fn compile(
    check: &Check,
    mut values: impl FnMut(&[super::condition::Value]) -> Result<Vec<String>, ConditionError>,
) -> Result<(Operand, Predicate, usize), ConditionError> {
    let operand = operand(&check.operand)?;
    let mut size = 1;
    let predicate = match &check.test {
        Test::Exists => Predicate::Exists,
        Test::One(operator, value) => one(&operand, *operator, &value.text)?,
        Test::Each(operator, quantifier, list) => {
            let list = values(list)?;
            size += list.len();
            if !operand.kind.is_text() {
                return Err(misused(&operand, &format!("{operator} {quantifier}")));
            }
            let tests: Result<Box<[TextTest]>, ConditionError> = list
                .iter()
                .map(|value| match one(&operand, *operator, value)? {
                    Predicate::Text(test) => Ok(test),
                    _ => Err(misused(&operand, &format!("{operator} {quantifier}"))),
                })
                .collect();
            Predicate::Text(TextTest::each(*quantifier, tests?))
        }
        Test::Many(operator, list) => {
            let list = values(list)?;
            size += list.len();
            many(&operand, *operator, &list)?
        }
        Test::Other(operator, written) => {
            let comparison =
                Comparison::of(*operator).ok_or_else(|| misused(&operand, &format!("{operator} val(…)")))?;
            compared(&operand, comparison, written, &operator.to_string())?
        }
        Test::OtherMany(operator, written) => compared(
            &operand,
            Comparison::of_list(*operator),
            written,
            &operator.to_string(),
        )?,
    };
    check_type_names(&operand, &check.test, &predicate)?;
    Ok((operand, predicate, size))
}

/// The value that a field, or a transformer's call, stands for.
pub(super) fn operand(written: &Written) -> Result<Operand, ConditionError> {
    match written {
        Written::Field { name, argument } => field(name, argument.as_deref()),
        Written::Call(transformer, arguments) => call(*transformer, arguments),
    }
}

fn field(name: &str, argument: Option<&str>) -> Result<Operand, ConditionError> {
    let unknown = || ConditionError::UnknownField {
        field: name.to_owned(),
    };
    let (index, dotted) = field::find(name).ok_or_else(unknown)?;
    let field = &FIELDS[index];
    let wrong = |argument: &str| ConditionError::Argument {
        field: field.name,
        argument: argument.to_owned(),
        expected: expected(field.argument),
    };
    let mut kind = field.kind;
    let given = match (field.argument, argument, dotted) {
        (_, Some(argument), Some(_)) | (Argument::None, Some(argument), None) => {
            return Err(ConditionError::UnexpectedArgument {
                field: name.to_owned(),
                argument: argument.to_owned(),
            });
        }
        (Argument::None, None, _) | (Argument::Index | Argument::OptionalKey, None, None) => Given::None,
        (Argument::Index, Some(argument), None) => {
            Given::Index(argument.parse().map_err(|_| wrong(argument))?)
        }
        (Argument::CallArgument, None, Some(argument)) => {
            let argument = field::ArgumentName::find(argument).ok_or_else(|| wrong(argument))?;
            if field.name == "evt.rawarg" && argument.raw_kind() == RawKind::Number {
                kind = FieldType::Number;
            }
            Given::Call(argument)
        }
        (Argument::CallArgument, Some(argument), None) if field.name == "evt.arg" => {
            Given::CallIndex(argument.parse().map_err(|_| wrong(argument))?)
        }
        (Argument::Key | Argument::OptionalKey, Some(key), None)
        | (Argument::Key | Argument::OptionalKey | Argument::Index, None, Some(key)) => {
            Given::Key(key.into())
        }
        (Argument::Key | Argument::CallArgument, argument, _) => return Err(wrong(argument.unwrap_or(""))),
    };
    Ok(Operand {
        base: Base::Field {
            index,
            get: field.get,
            given,
        },
        steps: Box::new([]),
        length: false,
        kind,
    })
}

fn expected(argument: Argument) -> &'static str {
    match argument {
        Argument::None => "nothing",
        Argument::Index => "a number from 0",
        Argument::OptionalKey | Argument::Key => "a word in brackets",
        Argument::CallArgument => "the name of a call's argument behind a dot, or its number in brackets",
    }
}

fn call(transformer: Transformer, arguments: &[Passed]) -> Result<Operand, ConditionError> {
    let step = match transformer {
        Transformer::ToLower => Some(Step::Lower),
        Transformer::ToUpper => Some(Step::Upper),
        Transformer::BaseName => Some(Step::BaseName),
        Transformer::Base64 => Some(Step::Base64),
        Transformer::Concat => return concat(arguments),
        Transformer::Join => return join(arguments),
        Transformer::Length | Transformer::Value => None,
    };
    let [Passed::Operand(inner)] = arguments else {
        return Err(ConditionError::Passed {
            transformer,
            expected: "one field",
        });
    };
    let mut operand = operand(inner)?;
    if transformer == Transformer::Value {
        return Ok(operand);
    }
    if !operand.kind.is_text() {
        return Err(ConditionError::Transformer {
            field: named(&operand),
            kind: operand.kind,
        });
    }
    if let Some(step) = step {
        let mut steps = operand.steps.into_vec();
        steps.push(step);
        operand.steps = steps.into();
    } else {
        operand.length = true;
        operand.kind = FieldType::Number;
    }
    Ok(operand)
}

fn concat(arguments: &[Passed]) -> Result<Operand, ConditionError> {
    let wrong = || ConditionError::Passed {
        transformer: Transformer::Concat,
        expected: "two texts or more",
    };
    if arguments.len() < 2 {
        return Err(wrong());
    }
    let parts: Result<Box<[Part]>, ConditionError> =
        arguments.iter().map(|part| self::part(part, wrong)).collect();
    Ok(joined(None, parts?))
}

fn join(arguments: &[Passed]) -> Result<Operand, ConditionError> {
    let wrong = || ConditionError::Passed {
        transformer: Transformer::Join,
        expected: "a text and a list",
    };
    let [between, Passed::List(items)] = arguments else {
        return Err(wrong());
    };
    let parts: Result<Box<[Part]>, ConditionError> =
        items.iter().map(|part| self::part(part, wrong)).collect();
    Ok(joined(Some(part(between, wrong)?), parts?))
}

fn joined(between: Option<Part>, parts: Box<[Part]>) -> Operand {
    Operand {
        base: Base::Joined {
            between: between.map(Box::new),
            parts,
        },
        steps: Box::new([]),
        length: false,
        kind: FieldType::Text,
    }
}

fn part(passed: &Passed, wrong: impl Fn() -> ConditionError) -> Result<Part, ConditionError> {
    match passed {
        Passed::Text(text) => Ok(Part::Text(text.as_bytes().into())),
        Passed::Operand(written) => {
            let operand = operand(written)?;
            if operand.kind.is_text() {
                Ok(Part::Operand(operand))
            } else {
                Err(wrong())
            }
        }
        Passed::List(_) => Err(wrong()),
    }
}

/// A name for an operand in an error.
fn named(operand: &Operand) -> &'static str {
    match &operand.base {
        Base::Field { index, .. } => FIELDS[*index].name,
        Base::Joined { between: Some(_), .. } => "join",
        Base::Joined { between: None, .. } => "concat",
    }
}

fn misused(operand: &Operand, operator: &str) -> ConditionError {
    ConditionError::Operator {
        field: named(operand),
        kind: operand.kind,
        operator: operator.to_owned(),
    }
}

fn misfit(operand: &Operand, value: &str) -> ConditionError {
    ConditionError::Value {
        field: named(operand),
        kind: operand.kind,
        value: value.to_owned(),
    }
}

fn compared(
    left: &Operand,
    comparison: Comparison,
    written: &Written,
    operator: &str,
) -> Result<Predicate, ConditionError> {
    let right = operand(written)?;
    let is_alike = match (left.kind, right.kind) {
        (FieldType::Address | FieldType::Network, FieldType::Address | FieldType::Network) => true,
        (left, right) => left == right || (left.is_text() && right.is_text()),
    };
    let several = |operand: &Operand| {
        operand.plain().is_some_and(|(field, given)| {
            (field.argument == Argument::Index
                && *given == Given::None
                && !ONE_OF_INDEXED.contains(&field.name))
                || SEVERAL.contains(&field.name)
        })
    };
    if !is_alike || several(&right) {
        return Err(ConditionError::Other {
            field: named(&right),
            kind: right.kind,
        });
    }
    if comparison.is_for_texts_only() && !left.kind.is_text() {
        return Err(misused(left, operator));
    }
    Ok(Predicate::Other(comparison, Box::new(right)))
}

/// Fields with several values.
const SEVERAL: [&str; 8] = [
    "fd.ip",
    "fd.net",
    "fd.port",
    "fd.cip.name",
    "fd.sip.name",
    "fd.rip.name",
    "fd.lip.name",
    "dns.alias",
];

/// Fields that take a number and have one value without it.
const ONE_OF_INDEXED: [&str; 1] = ["proc.args"];

fn one(operand: &Operand, operator: Operator, value: &str) -> Result<Predicate, ConditionError> {
    let misused = || misused(operand, &operator.to_string());
    let order = match operator {
        Operator::Less => Some(Order::Less),
        Operator::LessOrEqual => Some(Order::LessOrEqual),
        Operator::Greater => Some(Order::Greater),
        Operator::GreaterOrEqual => Some(Order::GreaterOrEqual),
        _ => None,
    };
    Ok(match operand.kind {
        FieldType::Number => {
            let number = number(operand, value)?;
            Predicate::Number(match (operator, order) {
                (Operator::Equal, _) => NumberTest::is_in([number]),
                (Operator::NotEqual, _) => NumberTest::NotEqual(number),
                (_, Some(order)) => NumberTest::Ordered(order, number),
                _ => return Err(misused()),
            })
        }
        FieldType::Bool => {
            let wanted = truth(operand, value)?;
            match operator {
                Operator::Equal => Predicate::Bool { wanted },
                Operator::NotEqual => Predicate::Bool { wanted: !wanted },
                _ => return Err(misused()),
            }
        }
        FieldType::Address | FieldType::Network => {
            let negated = match operator {
                Operator::Equal => false,
                Operator::NotEqual => true,
                _ => return Err(misused()),
            };
            Predicate::Address {
                networks: Networks::new([network(operand, value)?]),
                negated,
            }
        }
        FieldType::Text | FieldType::Name => Predicate::Text(text(operand, operator, order, value)?),
    })
}

fn text(
    operand: &Operand,
    operator: Operator,
    order: Option<Order>,
    value: &str,
) -> Result<TextTest, ConditionError> {
    let cut = operand.kind == FieldType::Name;
    let bytes = || Box::<[u8]>::from(value.as_bytes());
    let hexadecimal = || {
        decode_hexadecimal(value).ok_or_else(|| ConditionError::Hexadecimal {
            value: value.to_owned(),
        })
    };
    Ok(match operator {
        Operator::Equal => TextTest::In {
            set: TextSet::new([bytes()]),
            cut,
        },
        Operator::NotEqual => TextTest::NotIn {
            set: TextSet::new([bytes()]),
            cut,
        },
        Operator::Contains => TextTest::contains(value.as_bytes()),
        Operator::ContainsIgnoringCase => {
            TextTest::ContainsIgnoringCase(Box::new([value.to_ascii_lowercase().into_bytes().into()]))
        }
        Operator::ContainsBytes => TextTest::contains(&hexadecimal()?),
        Operator::StartsWith => TextTest::StartsWith(Affixes::starts([bytes()])),
        Operator::StartsWithBytes => TextTest::StartsWith(Affixes::starts([hexadecimal()?.into()])),
        Operator::EndsWith => TextTest::EndsWith(Affixes::ends([bytes()])),
        Operator::Glob => TextTest::glob(value, false)?,
        Operator::GlobIgnoringCase => TextTest::glob(value, true)?,
        Operator::Regex => TextTest::regex(value)?,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let order = order.ok_or_else(|| misused(operand, &operator.to_string()))?;
            TextTest::Ordered { order, than: bytes() }
        }
    })
}

fn many(operand: &Operand, operator: ListOperator, values: &[String]) -> Result<Predicate, ConditionError> {
    let texts = || values.iter().map(|value| Box::<[u8]>::from(value.as_bytes()));
    Ok(match (operand.kind, operator) {
        (FieldType::Number, ListOperator::In | ListOperator::Intersects) => {
            let numbers: Result<Vec<i64>, _> = values.iter().map(|value| number(operand, value)).collect();
            Predicate::Number(NumberTest::is_in(numbers?))
        }
        (FieldType::Address | FieldType::Network, ListOperator::In | ListOperator::Intersects) => {
            let networks: Result<Vec<_>, _> = values.iter().map(|value| network(operand, value)).collect();
            Predicate::Address {
                networks: Networks::new(networks?),
                negated: false,
            }
        }
        (FieldType::Bool, ListOperator::In | ListOperator::Intersects) => {
            let wanted: Result<Vec<bool>, _> = values.iter().map(|value| truth(operand, value)).collect();
            let wanted = wanted?;
            match (wanted.contains(&true), wanted.contains(&false)) {
                (true, true) => Predicate::Exists,
                (false, false) => Predicate::Number(NumberTest::is_in([])),
                (wanted, _) => Predicate::Bool { wanted },
            }
        }
        (FieldType::Text | FieldType::Name, ListOperator::In | ListOperator::Intersects) => {
            Predicate::Text(TextTest::In {
                set: TextSet::new(texts()),
                cut: operand.kind == FieldType::Name,
            })
        }
        (FieldType::Text | FieldType::Name, ListOperator::PathPrefix) => {
            Predicate::Text(TextTest::PathPrefix(Paths::new(values)?))
        }
        (_, ListOperator::PathPrefix) => return Err(misused(operand, &operator.to_string())),
    })
}

/// A number in decimal or, after `0x`, in hexadecimal digits.
fn number(operand: &Operand, text: &str) -> Result<i64, ConditionError> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| misfit(operand, text))
}

fn truth(operand: &Operand, text: &str) -> Result<bool, ConditionError> {
    match text {
        "true" | "True" | "1" => Ok(true),
        "false" | "False" | "0" => Ok(false),
        _ => Err(misfit(operand, text)),
    }
}

fn network(operand: &Operand, text: &str) -> Result<Network, ConditionError> {
    Network::parse(text).ok_or_else(|| misfit(operand, text))
}

fn decode_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8))
        .collect();
    bytes.filter(|bytes| rest.is_empty() && !bytes.is_empty())
}

/// A type of events that does not exist is a misspelling, and a rule with one would never hold.
fn check_type_names(operand: &Operand, test: &Test, predicate: &Predicate) -> Result<(), ConditionError> {
    let is_type = |(field, _): (&'static Field, _)| matches!(field.name, "evt.type" | "syscall.type");
    if !operand.plain().is_some_and(is_type) {
        return Ok(());
    }
    let compares = matches!(
        test,
        Test::One(Operator::Equal | Operator::NotEqual, _)
            | Test::Many(ListOperator::In | ListOperator::Intersects, _)
    );
    match predicate {
        Predicate::Text(TextTest::In { set, .. } | TextTest::NotIn { set, .. }) if compares => {
            let mut unknown = set.iter().filter(|name| !types::is_known(name));
            match unknown.next() {
                Some(name) => Err(ConditionError::UnknownType {
                    name: String::from_utf8_lossy(name).into_owned(),
                }),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
