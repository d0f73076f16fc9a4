//! From text to a condition. `sqlparser` has the grammar; what it reads is taken over as far as it is known here.

use chrono::{DateTime, TimeDelta, Utc};
use sqlparser::{
    ast::{
        BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, InTarget, Spanned as _,
        UnaryOperator, Value as Sql,
    },
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, Tokenizer, Whitespace},
};

use super::{
    COMPARISONS_MAX, LISTED_MAX, TEXT_BYTES_MAX,
    condition::{Condition, Op, Value},
    fault::Fault,
    literal::{self, Literal},
    names::{Column, Curve, Kind, Known, Name},
};
use crate::{plan, words::hint_of_value};

/// Brackets and NOTs in each other: few enough for half the stack of a thread, in a build that is not optimised, too.
const DEPTH_MAX: usize = 20;

/// Reads a condition; `now` is what ages are counted from.
///
/// # Errors
/// The first mistake, with its place.
pub fn condition(text: &str, known: Known<'_>, now: DateTime<Utc>) -> Result<Condition, Fault> {
    let (text, expr) = parse(text)?;
    let mut reader = Reader { text, known, now, comparisons: 0 };
    reader.condition(&expr)
}

/// Reads a name alone, as for an order or a column.
///
/// # Errors
/// As [`condition`].
pub fn name(text: &str, known: Known<'_>) -> Result<Name, Fault> {
    // A name of a result may look like a sum.
    if known.results.iter().any(|result| result == text) {
        return known.bare(text).map_err(|message| Fault { text: text.to_owned(), at: None, message });
    }
    let (text, expr) = parse(text)?;
    let reader = Reader { text, known, now: DateTime::UNIX_EPOCH, comparisons: 0 };
    match reader.name(&expr)? {
        Some(name) => Ok(name),
        None => Err(reader.fault(&expr, "expected a name, such as accuracy or optimizer.lr")),
    }
}

/// The text as one line, and what it says.
fn parse(text: &str) -> Result<(String, Expr), Fault> {
    let whole = |message: String| Fault { text: String::new(), at: None, message };
    if text.len() > TEXT_BYTES_MAX {
        return Err(whole(format!("the condition has {} bytes; expected at most {TEXT_BYTES_MAX}", text.len())));
    }
    if text.contains('\0') {
        return Err(whole("the condition holds a NUL, which is no text".to_owned()));
    }
    let line: String = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter }).collect();
    if line.trim().is_empty() {
        return Err(whole("nothing is asked: write a condition, such as stage = 'linear'".to_owned()));
    }
    let at_end = line.trim_end().chars().count();
    let fault = |at: u64, message: String| {
        let at = usize::try_from(at).unwrap_or(0).saturating_sub(1).min(at_end);
        Fault { text: line.clone(), at: Some(at), message }
    };
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, &line).tokenize_with_location().map_err(|error| {
        fault(error.location.column, format!("{}; texts stand between ' and '", plain(&error.message)))
    })?;
    let comment = |token: &Token| {
        let Token::Whitespace(space) = token else { return false };
        matches!(space, Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_))
    };
    if let Some(comment) = tokens.iter().find(|token| comment(&token.token)) {
        let message = "a condition has no comments: what stands behind `--` would not be asked".to_owned();
        return Err(fault(comment.span.start.column, message));
    }
    let mut parser =
        Parser::new(&PostgreSqlDialect {}).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => Fault {
            text: line.clone(),
            at: None,
            message: "the condition has too many brackets in each other".to_owned(),
        },
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
            let (message, at) = placed(&message);
            // The end of the text has no place of its own.
            fault(at.unwrap_or(u64::MAX), plain(message))
        }
    })?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        let near = match &rest.token {
            Token::SemiColon => "a condition is one expression, without `;`".to_owned(),
            token => format!("`{token}` is not understood here; expected AND, OR, a comparison or the end"),
        };
        return Err(fault(rest.span.start.column, near));
    }
    Ok((line, expr))
}

/// The parser's message without its place, and that.
fn placed(message: &str) -> (&str, Option<u64>) {
    let Some((said, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    (said, place.rsplit_once("Column: ").and_then(|(_, column)| column.trim().parse().ok()))
}

fn plain(message: &str) -> String {
    message.replace("Expected: ", "expected ").replace(", found: ", ", found ").replace("EOF", "the end")
}

struct Reader<'a> {
    text: String,
    known: Known<'a>,
    now: DateTime<Utc>,
    comparisons: usize,
}

impl Reader<'_> {
    fn fault(&self, at: &Expr, message: impl Into<String>) -> Fault {
        self.fault_at(at.span().start.column, message)
    }

    fn fault_at(&self, column: u64, message: impl Into<String>) -> Fault {
        let at = usize::try_from(column).ok().and_then(|column| column.checked_sub(1));
        Fault { text: self.text.clone(), at, message: message.into() }
    }

    fn condition(&mut self, expr: &Expr) -> Result<Condition, Fault> {
        match expr {
            Expr::Nested(inner) => self.condition(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(self.condition(expr)?.negated()),
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => {
                let mut sides = Vec::new();
                self.sides(expr, op, &mut sides)?;
                Ok(if *op == BinaryOperator::And { Condition::All(sides) } else { Condition::Any(sides) })
            }
            _ => {
                self.comparisons += 1;
                if self.comparisons > COMPARISONS_MAX {
                    return Err(self.fault(expr, format!("more than {COMPARISONS_MAX} comparisons; ask in parts")));
                }
                self.comparison(expr)
            }
        }
    }

    /// The parts of a chain of the same operator: it may be long, and is read without a call for each.
    fn sides(&mut self, expr: &Expr, of: &BinaryOperator, sides: &mut Vec<Condition>) -> Result<(), Fault> {
        let (mut rest, mut rights) = (expr, Vec::new());
        while let Expr::BinaryOp { left, op, right } = rest
            && op == of
        {
            rights.push(&**right);
            rest = left;
        }
        sides.push(self.condition(rest)?);
        for right in rights.into_iter().rev() {
            sides.push(self.condition(right)?);
        }
        Ok(())
    }

    fn comparison(&self, expr: &Expr) -> Result<Condition, Fault> {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                let op = self.operator(expr, op)?;
                match (self.name(left)?, self.name(right)?) {
                    (Some(name), None) => self.compare(name, op, right),
                    (None, Some(name)) => self.compare(name, op.flipped(), left),
                    (Some(_), Some(_)) => Err(self.fault(right, "a name is compared with a value, not with a name")),
                    (None, None) => Err(self.fault(left, "nothing of a job is compared here: write a name first")),
                }
            }
            Expr::IsNull(of) => Ok(Condition::Missing { name: self.named(of)?, negated: false }),
            Expr::IsNotNull(of) => Ok(Condition::Missing { name: self.named(of)?, negated: true }),
            Expr::Between { expr: of, negated, low, high } => {
                let name = self.named(of)?;
                let (low, high) = (self.value(&name, low)?, self.value(&name, high)?);
                Ok(match (self.aged(&low), self.aged(&high)) {
                    (Some(newest), Some(oldest)) if name == Name::Column(Column::Age) => Condition::Between {
                        name: Name::Column(Column::Created),
                        low: oldest,
                        high: newest,
                        negated: *negated,
                    },
                    _ => Condition::Between { name, low, high, negated: *negated },
                })
            }
            Expr::In { expr: of, target: InTarget::List(list), negated, global: false } => {
                let name = self.named(of)?;
                if name == Name::Column(Column::Age) {
                    return Err(self.fault(of, "an age is compared by < or >"));
                }
                if list.len() > LISTED_MAX {
                    let message = format!("{} values behind IN; expected at most {LISTED_MAX}", list.len());
                    return Err(self.fault(of, message));
                }
                let values = list.iter().map(|one| self.value(&name, one)).collect::<Result<Vec<_>, _>>()?;
                let kind = values.first().map(std::mem::discriminant);
                if values.iter().any(|value| Some(std::mem::discriminant(value)) != kind) {
                    return Err(self.fault(of, "the values behind IN are of one kind"));
                }
                Ok(Condition::OneOf { name, values, negated: *negated })
            }
            Expr::Like { negated, any: false, expr: of, pattern, escape_char: None } => {
                self.like(of, pattern, false, *negated)
            }
            Expr::ILike { negated, any: false, expr: of, pattern, escape_char: None } => {
                self.like(of, pattern, true, *negated)
            }
            other => match self.name(other)? {
                Some(name) => Err(self.fault(other, format!("`{name}` alone is no condition: compare it with a value"))),
                None => Err(self.fault(
                    other,
                    "this is not understood; expected NAME and =, <>, <, <=, >, >=, IN, BETWEEN, LIKE, ILIKE or IS NULL",
                )),
            },
        }
    }

    fn operator(&self, at: &Expr, op: &BinaryOperator) -> Result<Op, Fault> {
        Ok(match op {
            BinaryOperator::Eq => Op::Equal,
            BinaryOperator::NotEq => Op::Unequal,
            BinaryOperator::Lt => Op::Less,
            BinaryOperator::LtEq => Op::AtMost,
            BinaryOperator::Gt => Op::Greater,
            BinaryOperator::GtEq => Op::AtLeast,
            other => {
                return Err(self.fault(at, format!("`{other}` is not known here; expected =, <>, <, <=, >, >=")));
            }
        })
    }

    fn compare(&self, name: Name, op: Op, value: &Expr) -> Result<Condition, Fault> {
        if is_null(value) {
            return Err(self.fault(value, format!("nothing equals NULL: write {name} IS NULL or IS NOT NULL")));
        }
        let found = self.value(&name, value)?;
        if matches!(found, Value::Flag(_)) && !matches!(op, Op::Equal | Op::Unequal) {
            return Err(self.fault(value, "true and false are compared by = and <>"));
        }
        Ok(match self.aged(&found).filter(|_| name == Name::Column(Column::Age)) {
            // The older, the earlier.
            Some(value) => Condition::Compare { name: Name::Column(Column::Created), op: op.flipped(), value },
            None => Condition::Compare { name, op, value: found },
        })
    }

    /// The moment that was so many seconds ago.
    fn aged(&self, seconds: &Value) -> Option<Value> {
        let Value::Number(seconds) = seconds else { return None };
        // A century either way: beyond, all jobs are younger.
        let seconds = seconds.clamp(-4e9, 4e9) as i64;
        self.now.checked_sub_signed(TimeDelta::seconds(seconds)).map(Value::Time)
    }

    fn like(&self, of: &Expr, pattern: &Expr, any_case: bool, negated: bool) -> Result<Condition, Fault> {
        let name = self.named(of)?;
        if !matches!(name.kind(), Kind::Text | Kind::Any) {
            return Err(self.fault(of, format!("`{name}` is no text: LIKE compares text")));
        }
        match self.literal(pattern)? {
            Some(Literal::Text(pattern)) => Ok(Condition::Like { name, pattern, any_case, negated }),
            _ => Err(self.fault(pattern, "LIKE takes a text with % for anything and _ for a letter, such as 'table%'")),
        }
    }

    fn value(&self, name: &Name, expr: &Expr) -> Result<Value, Fault> {
        let Some(literal) = self.literal(expr)? else {
            let message = format!("`{name}` is compared with a value here: a number, or a text between ' and '");
            return Err(self.fault(expr, message));
        };
        let value = literal::value(&name.to_string(), name.kind(), literal, self.now);
        let value = value.map_err(|message| self.fault(expr, message))?;
        self.check_word(name, &value, expr)?;
        Ok(value)
    }

    /// Of what has few values, one that there is not is a mistake.
    fn check_word(&self, name: &Name, value: &Value, at: &Expr) -> Result<(), Fault> {
        const STATES: [&str; 7] = ["blocked", "queued", "paused", "running", "succeeded", "failed", "cancelled"];
        let known: &[&str] = match name {
            Name::Column(Column::Stage) => plan::STAGES,
            Name::Column(Column::State) => &STATES,
            Name::Column(Column::Figure) => &crate::facts::FIGURES,
            _ => return Ok(()),
        };
        match value {
            Value::Text(word) if !known.contains(&word.as_str()) => {
                Err(self.fault(at, format!("no {name} is called '{word}'{}", hint_of_value(word, known))))
            }
            _ => Ok(()),
        }
    }

    fn literal(&self, expr: &Expr) -> Result<Option<Literal>, Fault> {
        let number = |text: &str| match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(Literal::Number(number))),
            _ => Err(self.fault(expr, format!("`{text}` is no number that can be compared"))),
        };
        match expr {
            Expr::Nested(inner) => self.literal(inner),
            Expr::Value(value) => match &value.value {
                Sql::Number(text, _) => number(text),
                Sql::SingleQuotedString(text) => Ok(Some(Literal::Text(text.clone()))),
                Sql::Boolean(flag) => Ok(Some(Literal::Flag(*flag))),
                other => Err(self.fault(expr, format!("`{other}` is no value here; write a number or '..'"))),
            },
            Expr::UnaryOp { op: sign @ (UnaryOperator::Minus | UnaryOperator::Plus), expr: of } => {
                match self.literal(of)? {
                    Some(Literal::Number(number)) if *sign == UnaryOperator::Minus => {
                        Ok(Some(Literal::Number(-number)))
                    }
                    Some(Literal::Number(number)) => Ok(Some(Literal::Number(number))),
                    _ => Err(self.fault(expr, "a sign stands before a number")),
                }
            }
            _ => Ok(None),
        }
    }

    fn named(&self, expr: &Expr) -> Result<Name, Fault> {
        self.name(expr)?.ok_or_else(|| self.fault(expr, "expected a name here, such as accuracy"))
    }

    /// `None` where it is no name at all.
    fn name(&self, expr: &Expr) -> Result<Option<Name>, Fault> {
        let bare = |written: &str| self.known.bare(written).map_err(|message| self.fault(expr, message));
        match expr {
            Expr::Nested(inner) => self.name(inner),
            Expr::Identifier(ident) => bare(&ident.value).map(Some),
            Expr::CompoundIdentifier(parts) => bare(&dotted(parts)).map(Some),
            Expr::Function(function) => self.function(expr, function).map(Some),
            _ => Ok(None),
        }
    }

    /// `param('optimizer.lr')`, `result('..')`, `best(knn_accuracy)`.
    fn function(&self, at: &Expr, function: &Function) -> Result<Name, Fault> {
        let word = function.name.to_string().to_ascii_lowercase();
        let message = || format!("{word}() takes one name, such as {word}(knn_accuracy) or {word}('knn_accuracy')");
        let argument = match &function.args {
            FunctionArguments::List(list) if list.clauses.is_empty() && list.duplicate_treatment.is_none() => {
                match list.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => argument,
                    _ => return Err(self.fault(at, message())),
                }
            }
            _ => return Err(self.fault(at, message())),
        };
        if function.filter.is_some() || function.over.is_some() || !function.within_group.is_empty() {
            return Err(self.fault(at, message()));
        }
        let written = match argument {
            Expr::Identifier(ident) => ident.value.clone(),
            Expr::CompoundIdentifier(parts) => dotted(parts),
            Expr::Value(value) => match &value.value {
                Sql::SingleQuotedString(text) => text.clone(),
                _ => return Err(self.fault(argument, message())),
            },
            _ => return Err(self.fault(argument, message())),
        };
        let named = match word.as_str() {
            "param" => Known::param(&written),
            "result" => self.known.result(&written),
            _ => match Curve::ALL.iter().find(|(known, _)| *known == word) {
                Some((_, which)) => self.known.curve(*which, &written),
                None => {
                    let functions = ["param", "result", "best", "last", "min", "max"];
                    return Err(self.fault(at, format!("there is no {word}(){}", hint_of_value(&word, &functions))));
                }
            },
        };
        named.map_err(|message| self.fault(argument, message))
    }
}

fn dotted(parts: &[Ident]) -> String {
    parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Sql::Null)
}
