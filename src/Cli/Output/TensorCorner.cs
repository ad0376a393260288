using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// The first values of the first rows of a tensor's first matrix, that is of its last two dimensions at index 0 of all
/// others. A tensor of one dimension is one row, a scalar one value.
/// </summary>
internal sealed class TensorCorner
{
    private readonly TensorInfo _tensor;

    private TensorCorner(TensorInfo tensor, ImmutableArray<ImmutableArray<DocumentValue>> rows)
    {
        _tensor = tensor;
        Rows = [.. rows];
    }

    /// <summary>The values row by row.</summary>
    public ImmutableArray<IReadOnlyList<DocumentValue>> Rows { get; }

    /// <summary>What the dimensions before the last two are held at: 0, one each.</summary>
    public IReadOnlyList<long> Index => new long[Math.Max(0, _tensor.Shape.Rank - 2)];

    /// <summary>Which part of the tensor it is, as NumPy would say it.</summary>
    public string Title
    {
        get
        {
            var shape = _tensor.Shape;
            var ranges = Index.Select(_ => "0").ToList();
            if (shape.Rank >= 2)
            {
                ranges.Add(Range(Rows.Length, shape[^2]));
            }

            if (shape.Rank >= 1)
            {
                ranges.Add(Range(Rows[0].Count, shape[^1]));
            }

            return shape.Rank == 0 ? "value" : $"values [{string.Join(", ", ranges)}]";

            static string Range(long shown, long size) => shown < size ? $":{shown}" : ":";
        }
    }

    /// <summary>Reads the corner.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="count">The most rows, and the most values of each.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    public static async Task<TensorCorner> ReadAsync(TensorInfo tensor, int count, CancellationToken cancellationToken)
    {
        var shape = tensor.Shape;
        var columns = shape.Rank == 0 ? 1 : shape[^1];
        var rows = tensor.ElementCount == 0 ? 0 : Math.Min(count, shape.Rank < 2 ? 1 : shape[^2]);
        var shown = (int)Math.Min(count, columns);
        var values = ImmutableArray.CreateBuilder<ImmutableArray<DocumentValue>>();
        for (var row = 0; row < rows; row++)
        {
            var stored = await TensorValues.ReadAsync(tensor, row * columns, shown, cancellationToken).ConfigureAwait(false);
            values.Add(tensor.DType.Kind == DTypeKind.Complex
                ? [.. stored.Chunk(2).Select(parts => new DocumentValue(parts[0], parts[1]))]
                : [.. stored.Select(value => new DocumentValue(value))]);
        }

        return new TensorCorner(tensor, values.ToImmutable());
    }

    /// <summary>Writes the rows, with … for what follows.</summary>
    public void WriteTo(TextWriter output)
    {
        var shape = _tensor.Shape;
        var moreColumns = shape.Rank > 0 && Rows[0].Count < shape[^1];
        var table = new TextTable(new string('r', Rows[0].Count) + "l");
        foreach (var row in Rows)
        {
            table.Add([.. row.Select(Text), moreColumns ? "…" : ""]);
        }

        if (shape.Rank >= 2 && Rows.Length < shape[^2])
        {
            table.Add("…");
        }

        table.WriteTo(output, "  ");
    }

    private static string Text(DocumentValue value)
    {
        if (value.Imaginary is not { } imaginary)
        {
            return value.Value.ToString();
        }

        var text = imaginary.ToString();
        return $"{value.Value}{(text[0] == '-' ? "" : "+")}{text}i";
    }
}
