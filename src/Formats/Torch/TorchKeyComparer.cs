using System.Numerics;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Compares keys that <see cref="TorchKeys.Comparable"/> gives, by value as Python does. Hashes begin with a number that is
/// drawn once a process: .NET's own hashes of numbers are no secret, and a file could choose a hundred thousand keys that collide.
/// </summary>
internal sealed class TorchKeyComparer : IEqualityComparer<object>
{
    /// <summary>The only one; it has no state.</summary>
    public static TorchKeyComparer Instance { get; } = new();

    /// <inheritdoc/>
    // Python holds a NaN for another, unless it is the same object.
    public new bool Equals(object? x, object? y) => ReferenceEquals(x, y) || (x, y) switch
    {
        (byte[] left, byte[] right) => left.AsSpan().SequenceEqual(right),
        (double.NaN, _) or (_, double.NaN) => false,
        (TorchList left, TorchList right) => left.SequenceEqual(right, this),
        _ => object.Equals(x, y),
    };

    /// <inheritdoc/>
    public int GetHashCode(object obj)
    {
        var hash = default(HashCode);
        switch (obj)
        {
            case long number:
                hash.Add(number);
                break;
            case double number:
                hash.Add(number);
                break;
            case BigInteger number:
                hash.AddBytes(number.ToByteArray());
                break;
            case byte[] bytes:
                hash.AddBytes(bytes);
                break;
            case TorchList list:
                foreach (var item in list)
                {
                    hash.Add(item, this);
                }

                break;
            default:
                return obj.GetHashCode();
        }

        return hash.ToHashCode();
    }
}
