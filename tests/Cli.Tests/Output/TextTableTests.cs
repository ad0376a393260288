using IlgpuLoader.Cli.Output;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class TextTableTests
{
    [Fact]
    public void Columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces()
    {
        var table = new TextTable("lrl");
        table.Add("name", "bytes", "");
        table.Add("a", "1", "last");
        table.Add("longer name", "12345678", "");
        Assert.Equal("> name            bytes\n> a                   1  last\n> longer name  12345678\n", Text(table, "> "));
    }

    [Fact]
    public void A_table_without_rows_writes_nothing()
    {
        Assert.Equal("", Text(new TextTable("ll"), "  "));
    }

    [Fact]
    public void A_long_cell_is_never_cut_and_does_not_widen_the_other_rows_without_end()
    {
        var table = new TextTable("ll");
        var wide = new string('x', 1000);
        table.Add(wide, "b");
        table.Add("a");
        table.Add("a", "b");
        Assert.Equal($"{wide}  b\na\na{new string(' ', 201)}b\n", Text(table, ""));
    }

    private static string Text(TextTable table, string indent)
    {
        using var output = new StringWriter { NewLine = "\n" };
        table.WriteTo(output, indent);
        return output.ToString();
    }
}
