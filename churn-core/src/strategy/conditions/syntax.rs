//! From text to a tree and back: lexer, parser and printer of the condition language.

use std::fmt;

use crate::error::{Error, Result};

/// Longest text of one condition, in bytes.
const MAX_LENGTH: usize = 10_000;
/// How deep parentheses and `not` may nest; the parser and all walks over the tree recurse.
const MAX_DEPTH: usize = 100;

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    NotEqual,
}

impl Comparison {
    /// As the language writes it.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
        }
    }

    /// As a reader expects it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Comparison::Below => "<",
            Comparison::AtMost => "≤",
            Comparison::Above => ">",
            Comparison::AtLeast => "≥",
            Comparison::Equal => "=",
            Comparison::NotEqual => "≠",
        }
    }

    /// The comparison that holds for a number exactly where this one does not.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Comparison::Below => Comparison::AtLeast,
            Comparison::AtMost => Comparison::Above,
            Comparison::Above => Comparison::AtMost,
            Comparison::AtLeast => Comparison::Below,
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
        }
    }

    /// Whether a number stands in this relation to a bound; NaN stands in none.
    #[inline]
    pub(crate) fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Comparison::Below => value < bound,
            Comparison::AtMost => value <= bound,
            Comparison::Above => value > bound,
            Comparison::AtLeast => value >= bound,
            Comparison::Equal => value == bound,
            Comparison::NotEqual => value != bound && !value.is_nan(),
        }
    }
}

/// Where a name or label begins in the text, in characters from 1; it is no part of the meaning,
/// so all positions are equal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position(pub(crate) usize);

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A condition as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Everyone,
    Compare {
        name: String,
        at: Position,
        comparison: Comparison,
        value: f64,
    },
    /// The customer's label is (or with `inside: false` is not) one of these.
    Label {
        name: String,
        at: Position,
        inside: bool,
        /// Written with `in`; `==` and `!=` have exactly one label.
        list: bool,
        labels: Vec<(String, Position)>,
    },
    Defined {
        name: String,
        at: Position,
        defined: bool,
    },
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A bare word: a name or a keyword.
    Word(String),
    /// A name in back quotes, never a keyword.
    Name(String),
    Label(String),
    Number(f64),
    Comparison(Comparison),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "`{word}`"),
            Token::Name(name) => write_quoted(f, name, '`'),
            Token::Label(label) => write_quoted(f, label, '"'),
            Token::Number(value) => write!(f, "`{value}`"),
            Token::Comparison(comparison) => write!(f, "`{}`", comparison.symbol()),
            Token::Open => f.write_str("`(`"),
            Token::Close => f.write_str("`)`"),
            Token::OpenList => f.write_str("`[`"),
            Token::CloseList => f.write_str("`]`"),
            Token::Comma => f.write_str("`,`"),
            Token::End => f.write_str("the end"),
        }
    }
}

const KEYWORDS: [&str; 8] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "defined",
    "undefined",
    "everyone",
];

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// The mistake at a character of the text.
fn syntax_error(
    what: &str,
    at: usize,
    expected: impl fmt::Display,
    got: impl fmt::Display,
) -> Error {
    Error::invalid_parameter(what, expected, format_args!("{got} at character {at}"))
}

/// Reads a condition; `what` is the place that errors name.
pub(crate) fn parse(what: &str, text: &str) -> Result<Expr> {
    if text.len() > MAX_LENGTH {
        return Err(Error::invalid_parameter(
            what,
            format_args!("a condition of at most {MAX_LENGTH} bytes"),
            format_args!("{} bytes", text.len()),
        ));
    }
    let mut parser = Parser {
        what,
        tokens: tokens(what, text)?,
        next: 0,
        depth: 0,
    };
    let expr = parser.any()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("`and`, `or` or the end")),
    }
}

fn tokens(what: &str, text: &str) -> Result<Vec<(Token, usize)>> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let at = i + 1;
        let c = chars[i];
        let pair = chars.get(i + 1) == Some(&'=');
        let (token, length) = match c {
            c if c.is_whitespace() => {
                i += 1;
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '[' => (Token::OpenList, 1),
            ']' => (Token::CloseList, 1),
            ',' => (Token::Comma, 1),
            '<' if pair => (Token::Comparison(Comparison::AtMost), 2),
            '<' => (Token::Comparison(Comparison::Below), 1),
            '>' if pair => (Token::Comparison(Comparison::AtLeast), 2),
            '>' => (Token::Comparison(Comparison::Above), 1),
            '=' if pair => (Token::Comparison(Comparison::Equal), 2),
            '!' if pair => (Token::Comparison(Comparison::NotEqual), 2),
            '"' | '\'' | '`' => quoted(what, &chars, i)?,
            c if starts_word(c) => {
                let length = chars[i..]
                    .iter()
                    .take_while(|c| continues_word(**c))
                    .count();
                (Token::Word(chars[i..i + length].iter().collect()), length)
            }
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => number(what, &chars, i)?,
            _ => {
                let expected = match c {
                    '=' => "`==`",
                    '&' => "`and`",
                    '|' => "`or`",
                    '!' => "`not` or `!=`",
                    _ => "a condition",
                };
                return Err(syntax_error(what, at, expected, format_args!("`{c}`")));
            }
        };
        tokens.push((token, at));
        i += length;
    }
    tokens.push((Token::End, chars.len() + 1));
    Ok(tokens)
}

/// A label or name in quotes; a backslash takes the next character as it is.
fn quoted(what: &str, chars: &[char], start: usize) -> Result<(Token, usize)> {
    let quote = chars[start];
    let mut text = String::new();
    let mut i = start + 1;
    loop {
        match chars.get(i) {
            Some(c) if *c == quote => break,
            Some('\\') if i + 1 < chars.len() => {
                text.push(chars[i + 1]);
                i += 2;
            }
            Some(c) => {
                text.push(*c);
                i += 1;
            }
            None => {
                return Err(syntax_error(
                    what,
                    start + 1,
                    format_args!("a closing {quote}"),
                    "a quote that never closes",
                ));
            }
        }
    }
    let token = match quote {
        '`' => Token::Name(text),
        _ => Token::Label(text),
    };
    Ok((token, i + 1 - start))
}

fn number(what: &str, chars: &[char], start: usize) -> Result<(Token, usize)> {
    let mut length = 1;
    while let Some(c) = chars.get(start + length) {
        let signed = matches!(c, '+' | '-') && matches!(chars[start + length - 1], 'e' | 'E');
        if !(c.is_alphanumeric() || matches!(c, '.' | '_') || signed) {
            break;
        }
        length += 1;
    }
    let text: String = chars[start..start + length].iter().collect();
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), length)),
        _ => Err(syntax_error(
            what,
            start + 1,
            "a finite number",
            format_args!("`{text}`"),
        )),
    }
}

struct Parser<'a> {
    what: &'a str,
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn at(&self) -> usize {
        self.tokens[self.next].1
    }

    /// Takes the next token; the last one, `End`, stays.
    fn take(&mut self) -> Token {
        let token = self.tokens[self.next].0.clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    fn unexpected(&self, expected: impl fmt::Display) -> Error {
        syntax_error(self.what, self.at(), expected, self.peek())
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(next) if next == word);
        if found {
            self.take();
        }
        found
    }

    fn take_token(&mut self, token: &Token, expected: &str) -> Result<()> {
        if self.peek() != token {
            return Err(self.unexpected(expected));
        }
        self.take();
        Ok(())
    }

    fn any(&mut self) -> Result<Expr> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expr::Or(parts)
        })
    }

    fn all(&mut self) -> Result<Expr> {
        let mut parts = vec![self.unary()?];
        while self.take_word("and") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expr::And(parts)
        })
    }

    fn unary(&mut self) -> Result<Expr> {
        if self.depth == MAX_DEPTH {
            return Err(syntax_error(
                self.what,
                self.at(),
                format_args!("at most {MAX_DEPTH} levels of nesting"),
                "one more",
            ));
        }
        self.depth += 1;
        let expr = if self.take_word("not") {
            Expr::Not(Box::new(self.unary()?))
        } else if *self.peek() == Token::Open {
            self.take();
            let inner = self.any()?;
            self.take_token(&Token::Close, "`and`, `or` or `)`")?;
            inner
        } else if self.take_word("everyone") {
            Expr::Everyone
        } else {
            self.leaf()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn leaf(&mut self) -> Result<Expr> {
        let at = Position(self.at());
        let name = match self.peek() {
            Token::Word(word) if !KEYWORDS.contains(&word.as_str()) => word.clone(),
            Token::Name(name) => name.clone(),
            _ => return Err(self.unexpected("the name of a feature, a score or a segmentation")),
        };
        self.take();
        if self.take_word("is") {
            let defined = if self.take_word("defined") {
                true
            } else if self.take_word("undefined") {
                false
            } else {
                return Err(self.unexpected("`defined` or `undefined`"));
            };
            return Ok(Expr::Defined { name, at, defined });
        }
        if self.take_word("not") {
            if !self.take_word("in") {
                return Err(self.unexpected("`in`"));
            }
            return self.list(name, at, false);
        }
        if self.take_word("in") {
            return self.list(name, at, true);
        }
        let Token::Comparison(comparison) = *self.peek() else {
            return Err(self.unexpected("a comparison, `in` or `is`"));
        };
        self.take();
        let value_at = Position(self.at());
        match (self.peek().clone(), comparison) {
            (Token::Number(value), _) => {
                self.take();
                Ok(Expr::Compare {
                    name,
                    at,
                    comparison,
                    value,
                })
            }
            (Token::Label(label), Comparison::Equal | Comparison::NotEqual) => {
                self.take();
                Ok(Expr::Label {
                    name,
                    at,
                    inside: comparison == Comparison::Equal,
                    list: false,
                    labels: vec![(label, value_at)],
                })
            }
            (_, Comparison::Equal | Comparison::NotEqual) => {
                Err(self.unexpected("a number or a label in quotes"))
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn list(&mut self, name: String, at: Position, inside: bool) -> Result<Expr> {
        self.take_token(&Token::OpenList, "`[`")?;
        let mut labels = Vec::new();
        loop {
            let label_at = Position(self.at());
            let Token::Label(label) = self.peek().clone() else {
                return Err(self.unexpected("a label in quotes"));
            };
            self.take();
            labels.push((label, label_at));
            match self.peek() {
                Token::Comma => {
                    self.take();
                }
                Token::CloseList => {
                    self.take();
                    break;
                }
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
        Ok(Expr::Label {
            name,
            at,
            inside,
            list: true,
            labels,
        })
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    use fmt::Write;
    f.write_char(quote)?;
    for c in text.chars() {
        if c == quote || c == '\\' {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char(quote)
}

/// A name as the language writes it: bare where it can be, in back quotes otherwise.
pub(crate) struct Name<'a>(pub(crate) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.0.starts_with(starts_word)
            && self.0.chars().all(continues_word)
            && !KEYWORDS.contains(&self.0);
        if bare {
            f.write_str(self.0)
        } else {
            write_quoted(f, self.0, '`')
        }
    }
}

/// A label as the language writes it.
pub(crate) struct Label<'a>(pub(crate) &'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, self.0, '"')
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Everyone => f.write_str("everyone"),
            Expr::Compare {
                name,
                comparison,
                value,
                ..
            } => write!(f, "{} {} {value}", Name(name), comparison.symbol()),
            Expr::Label {
                name,
                inside,
                list,
                labels,
                ..
            } => {
                let operator = match (list, inside) {
                    (false, true) => "==",
                    (false, false) => "!=",
                    (true, true) => "in [",
                    (true, false) => "not in [",
                };
                write!(f, "{} {operator}", Name(name))?;
                if !list {
                    f.write_str(" ")?;
                }
                for (i, (label, _)) in labels.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, Label(label))?;
                }
                f.write_str(if *list { "]" } else { "" })
            }
            Expr::Defined { name, defined, .. } => {
                let state = if *defined { "defined" } else { "undefined" };
                write!(f, "{} is {state}", Name(name))
            }
            Expr::Not(inner) => write!(f, "not ({inner})"),
            Expr::And(parts) => write_joined(f, parts, " and "),
            Expr::Or(parts) => write_joined(f, parts, " or "),
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, parts: &[Expr], joint: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { joint })?;
        if matches!(part, Expr::And(_) | Expr::Or(_)) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse("audience", text).unwrap_err().to_string()
    }

    #[test]
    fn precedence_and_printing() {
        let text =
            "risk_tier == \"high\" and (total_value >= 200 or not gap_days is defined) or everyone";
        let expr = parse("audience", text).unwrap();
        assert!(
            matches!(&expr, Expr::Or(parts) if parts.len() == 2 && matches!(parts[0], Expr::And(_)))
        );
        let printed = expr.to_string();
        assert_eq!(
            printed,
            "(risk_tier == \"high\" and (total_value >= 200 or not (gap_days is defined))) or everyone"
        );
        assert_eq!(parse("audience", &printed).unwrap(), expr);
    }

    #[test]
    fn both_quotes_names_in_other_scripts_and_back_quotes() {
        let expr = parse(
            "audience",
            "等级 == '金卡' and `my \\`in\\`` not in [\"a\\\"b\"]",
        )
        .unwrap();
        assert_eq!(
            expr.to_string(),
            "等级 == \"金卡\" and `my \\`in\\`` not in [\"a\\\"b\"]"
        );
    }

    #[test]
    fn mistakes_name_the_character() {
        assert_eq!(
            error("activity > 5 & orders"),
            "audience: expected `and`, got `&` at character 14"
        );
        assert_eq!(
            error("activity = 5"),
            "audience: expected `==`, got `=` at character 10"
        );
        assert_eq!(
            error("activity > "),
            "audience: expected a number, got the end at character 12"
        );
        assert_eq!(
            error("(activity > 5"),
            "audience: expected `and`, `or` or `)`, got the end at character 14"
        );
        assert_eq!(
            error("tier == high"),
            "audience: expected a number or a label in quotes, got `high` at character 9"
        );
        assert_eq!(
            error("tier in []"),
            "audience: expected a label in quotes, got `]` at character 10"
        );
        assert_eq!(
            error("x > 1e999"),
            "audience: expected a finite number, got `1e999` at character 5"
        );
        assert_eq!(
            error("tier == \"hi"),
            "audience: expected a closing \", got a quote that never closes at character 9"
        );
        assert_eq!(
            error("a > 1 b > 2"),
            "audience: expected `and`, `or` or the end, got `b` at character 7"
        );
        assert!(error("").contains("got the end at character 1"));
        assert!(error("x > 1 and and y > 2").contains("got `and` at character 11"));
    }

    #[test]
    fn deep_and_long_texts_are_refused_not_overflowed() {
        assert!(error(&"(".repeat(5_000)).contains("levels of nesting"));
        assert!(error(&"not ".repeat(2_000)).contains("levels of nesting"));
        assert!(error(&"x > 1 and ".repeat(2_000)).contains("bytes"));
    }
}
