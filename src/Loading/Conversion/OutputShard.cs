using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>One file that a conversion writes.</summary>
/// <param name="Tensors">The tensors in it, in the order of the checkpoint.</param>
/// <param name="Ties">Names that share the bytes of a tensor in it, each with the name of that tensor.</param>
internal sealed record OutputShard(ImmutableArray<OutputTensor> Tensors, ImmutableSortedDictionary<string, string> Ties)
{
    /// <summary>The size of the tensors as they are written, in bytes.</summary>
    public long ByteLength => Tensors.Sum(tensor => tensor.ByteLength);
}
