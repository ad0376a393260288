using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What the tensors of a state are read for. For one load, and one call at a time.</summary>
internal interface IStateTarget
{
    /// <summary>Whether a tensor of that name is wanted.</summary>
    bool IsWanted(string name);

    /// <summary>What stays allocated of tensors that come in one memory, by how they lie there.</summary>
    /// <param name="tensors">The tensors by their names, without storage; all of one memory.</param>
    /// <returns>The bytes that are allocated beside that memory, and whether it stays too.</returns>
    (long Beside, bool KeepsMemory) Keeps(IReadOnlyList<KeyValuePair<string, Tensor>> tensors);

    /// <summary>Takes tensors that have arrived in one memory.</summary>
    /// <param name="tensors">All that are wanted of it, by their names; they stay the caller's, who disposes them.</param>
    void Take(IReadOnlyList<KeyValuePair<string, Tensor>> tensors);
}
