using System.Collections;
using System.Globalization;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// A list, tuple or set of plain values in a file's metadata. Two are equal where their values are. Immutable.
/// </summary>
/// <param name="items">The values; the list keeps the array.</param>
public sealed class TorchList(params object[] items) : IReadOnlyList<object>, IEquatable<TorchList>
{
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

    /// <summary>The values in brackets.</summary>
    public override string ToString() =>
        $"[{string.Join(", ", items.Select(item => Convert.ToString(item, CultureInfo.InvariantCulture)))}]";

    private sealed class ValueComparer : IEqualityComparer<object>
    {
        public static ValueComparer Instance { get; } = new();

        public new bool Equals(object? x, object? y) =>
            x is byte[] left && y is byte[] right ? left.AsSpan().SequenceEqual(right) : object.Equals(x, y);

        public int GetHashCode(object obj) => obj is byte[] bytes ? bytes.Length : obj.GetHashCode();
    }
}
