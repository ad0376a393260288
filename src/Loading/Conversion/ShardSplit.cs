using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Spreads tensors over files: in their order, a new file where the next tensor would exceed the size, which is what transformers does.</summary>
internal static class ShardSplit
{
    /// <summary>The tensors of each file; one file without tensors where there are none.</summary>
    /// <param name="tensors">The tensors.</param>
    /// <param name="byteLength">The size of each in bytes.</param>
    /// <param name="maximum">The most bytes of a file; a larger tensor has one of its own.</param>
    public static ImmutableArray<ImmutableArray<T>> Of<T>(IEnumerable<T> tensors, Func<T, long> byteLength, long maximum)
    {
        var shards = ImmutableArray.CreateBuilder<ImmutableArray<T>>();
        var current = ImmutableArray.CreateBuilder<T>();
        long bytes = 0;
        foreach (var tensor in tensors)
        {
            var length = byteLength(tensor);
            if (current.Count > 0 && length > maximum - bytes)
            {
                shards.Add(current.DrainToImmutable());
                bytes = 0;
            }

            current.Add(tensor);
            bytes = checked(bytes + length);
        }

        if (current.Count > 0 || shards.Count == 0)
        {
            shards.Add(current.DrainToImmutable());
        }

        return shards.ToImmutable();
    }
}
