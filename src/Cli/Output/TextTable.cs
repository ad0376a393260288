using System.Text;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// Columns of plain text, as wide as they need to be: never wrapped or cut to a terminal, so that what is piped into
/// grep is what was on the screen.
/// </summary>
/// <param name="alignment">One character a column: <c>l</c> for left, <c>r</c> for right.</param>
internal sealed class TextTable(string alignment)
{
    // One name of a megabyte would otherwise pad every other row to a megabyte.
    private const int WidestColumn = 200;

    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public void WriteTo(TextWriter output, string indent = "")
    {
        var widths = new int[alignment.Length];
        foreach (var row in _rows)
        {
            for (var i = 0; i < row.Length; i++)
            {
                widths[i] = Math.Max(widths[i], Math.Min(row[i].Length, WidestColumn));
            }
        }

        var line = new StringBuilder();
        foreach (var row in _rows)
        {
            line.Clear().Append(indent);
            for (var i = 0; i < row.Length; i++)
            {
                line.Append(alignment[i] == 'r' ? row[i].PadLeft(widths[i]) : row[i].PadRight(widths[i])).Append("  ");
            }

            output.WriteLine(line.ToString().TrimEnd());
        }
    }
}
