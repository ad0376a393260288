using System.Collections;
using System.Globalization;
using System.Text;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// A list, tuple or set of plain values in a file's metadata. Two are equal where their values are. Immutable.
/// </summary>
/// <param name="items">The values; the list keeps the array.</param>
public sealed class TorchList(params object[] items) : IReadOnlyList<object>, IEquatable<TorchList>
{
    // A list may name one text of megabytes a thousand times; nobody reads as much as this.
    private const int LongestText = 1 << 16;

    /// <inheritdoc/>
    public int Count => items.Length;

    /// <inheritdoc/>
    public object this[int index] => items[index];

    /// <inheritdoc/>
    public IEnumerator<object> GetEnumerator() => items.AsEnumerable().GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => items.GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(TorchList? other) => other is not null && items.SequenceEqual(other, ValueComparer.Instance);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as TorchList);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.Add(items.Length);
        foreach (var item in items)
        {
            hash.Add(item, ValueComparer.Instance);
        }

        return hash.ToHashCode();
    }

    /// <summary>The values in brackets; of more than some thousand characters the first, and "…".</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Append(text);
        return text.ToString();
    }

    private void Append(StringBuilder text)
    {
        _ = text.Append('[');
        for (var i = 0; i < items.Length && text.Length <= LongestText; i++)
        {
            _ = text.Append(i == 0 ? "" : ", ");
            if (items[i] is TorchList list)
            {
                list.Append(text);
            }
            else
            {
                var item = Convert.ToString(items[i], CultureInfo.InvariantCulture);
                _ = text.Append(item.AsSpan()[..Math.Min(item?.Length ?? 0, Math.Max(0, LongestText + 1 - text.Length))]);
            }
        }

        _ = text.Length > LongestText ? text.Append('…') : text;
        _ = text.Append(']');
    }

    private sealed class ValueComparer : IEqualityComparer<object>
    {
        public static ValueComparer Instance { get; } = new();

        public new bool Equals(object? x, object? y) =>
            x is byte[] left && y is byte[] right ? left.AsSpan().SequenceEqual(right) : object.Equals(x, y);

        public int GetHashCode(object obj) => obj is byte[] bytes ? bytes.Length : obj.GetHashCode();
    }
}
