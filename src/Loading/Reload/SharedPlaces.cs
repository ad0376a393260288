using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Live tensors that share places of one memory: new values must be the same for each, or the last one written would be the values of all.</summary>
internal static class SharedPlaces
{
    /// <summary>Looks for places that new tensors have different values for.</summary>
    /// <param name="pairs">Live tensors, and what is to be copied into each.</param>
    /// <returns>What is wrong, for a message; null where nothing is.</returns>
    /// <exception cref="DeviceMemoryException">The device has not the memory to try it out.</exception>
    public static string? Problem(IReadOnlyList<(string Name, Tensor Live, Tensor Fresh)> pairs)
    {
        foreach (var memory in pairs.Where(pair => pair.Live.ElementCount > 0).GroupBy(pair => pair.Live.Memory, ReferenceEqualityComparer.Instance))
        {
            var shared = new List<(string Name, Tensor Live, Tensor Fresh)>();
            foreach (var pair in memory.OrderBy(pair => ByteRange.Of(pair.Live).Begin))
            {
                if (shared.Count > 0 && ByteRange.Of(pair.Live).Begin >= shared.Max(before => ByteRange.Of(before.Live).End))
                {
                    if (Differing(shared) is { } problem)
                    {
                        return problem;
                    }

                    shared.Clear();
                }

                shared.Add(pair);
            }

            if (Differing(shared) is { } last)
            {
                return last;
            }
        }

        return null;
    }

    // All are written beside the live memory as they would be there, and looked at again.
    private static string? Differing(List<(string Name, Tensor Live, Tensor Fresh)> shared)
    {
        if (shared.Count < 2)
        {
            return null;
        }

        var begin = shared.Min(pair => ByteRange.Of(pair.Live).Begin);
        using var memory = shared[0].Live.Device.Allocate(shared.Max(pair => ByteRange.Of(pair.Live).End) - begin);
        foreach (var (_, live, fresh) in shared)
        {
            using var place = Place(live);
            place.CopyFrom(fresh);
        }

        foreach (var (name, live, fresh) in shared)
        {
            using var place = Place(live);
            if (!TensorContent.Equal(place, fresh))
            {
                var others = string.Join(", ", shared.Where(pair => pair.Name != name).Select(pair => Quoted.Name(pair.Name)));
                return $"{Quoted.Name(name)} shares memory with {others} in the live layer, and the new values for it are others";
            }
        }

        return null;

        Tensor Place(Tensor live) => new(memory, live.DType, live.Shape, live.Strides, live.ByteOffset - begin);
    }
}
