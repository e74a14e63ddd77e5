//! HTML in which every value is escaped: there is no way to put one in unescaped.

/// A page being written.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// Markup of our own.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A value from anywhere: names and messages are hostile text.
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        for c in value.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(c),
            }
        }
        self
    }

    /// A number or another value with a text form.
    pub(crate) fn value(&mut self, value: &impl ToString) -> &mut Self {
        self.text(&value.to_string())
    }

    /// One row of a two-column table.
    pub(crate) fn row(&mut self, name: &'static str, value: &str) {
        self.raw("<tr><th>").raw(name).raw("</th><td>").text(value).raw("</td></tr>\n");
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_text() {
        let mut html = Html::default();
        html.raw("<b title=\"").text("\"><script>alert('x')</script>&").raw("\">");
        assert_eq!(
            html.finish(),
            "<b title=\"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\">"
        );
    }
}
