using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Takes tensors as they were saved: what shared memory shares it again.</summary>
/// <param name="wanted">Their names.</param>
/// <param name="tensors">Gets them; they are the dictionary's from then on.</param>
internal sealed class StateDictionaryTarget(IReadOnlySet<string> wanted, Dictionary<string, Tensor> tensors) : IStateTarget
{
    /// <inheritdoc/>
    public bool IsWanted(string name) => wanted.Contains(name);

    /// <inheritdoc/>
    public (long Beside, bool KeepsMemory) Keeps(IReadOnlyList<KeyValuePair<string, Tensor>> tensors) => (0, true);

    /// <inheritdoc/>
    public void Take(IReadOnlyList<KeyValuePair<string, Tensor>> arrived)
    {
        foreach (var (name, tensor) in arrived)
        {
            tensors.Add(name, tensor.On(tensor.Device));
        }
    }
}
