namespace IlgpuLoader.Loading;

/// <summary>Weights that came before their layer was complete, each until the last layer that takes it is loaded. Owns them. Not safe for several threads.</summary>
/// <param name="layers">The number of layers.</param>
internal sealed class WaitingWeights(int layers) : IDisposable
{
    private readonly List<(HeldWeight Weight, WeightTarget Target)>?[] _waiting = new List<(HeldWeight, WeightTarget)>?[layers];

    /// <summary>Takes a weight over; it is disposed with what is returned, unless layers wait with it.</summary>
    public static HeldWeight Hold(Weight weight) => new(weight);

    /// <summary>Keeps a weight for a layer.</summary>
    public void Add(int layer, HeldWeight weight, WeightTarget target)
    {
        weight.Keep();
        (_waiting[layer] ??= []).Add((weight, target));
    }

    /// <summary>The weights of a layer in the order in which they came; they stay this one's until <see cref="Free"/>.</summary>
    public IReadOnlyList<(Weight Weight, WeightTarget Target)> Of(int layer) => [.. (_waiting[layer] ?? []).Select(entry => (entry.Weight.Weight, entry.Target))];

    /// <summary>Gives the weights of a layer back.</summary>
    public void Free(int layer)
    {
        foreach (var (weight, _) in _waiting[layer] ?? [])
        {
            weight.Dispose();
        }

        _waiting[layer] = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (var i = 0; i < _waiting.Length; i++)
        {
            Free(i);
        }
    }

    /// <summary>A weight, disposed when all that keep it are done with it.</summary>
    public sealed class HeldWeight(Weight weight) : IDisposable
    {
        private int _keepers = 1;

        /// <summary>The weight.</summary>
        public Weight Weight => weight;

        /// <summary>Has it live for one more.</summary>
        public void Keep() => _keepers++;

        /// <inheritdoc/>
        public void Dispose()
        {
            if (--_keepers == 0)
            {
                weight.Dispose();
            }
        }
    }
}
