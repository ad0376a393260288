using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>One weight that is made from a GGUF tensor.</summary>
/// <param name="Name">The name in the checkpoint.</param>
/// <param name="DType">The type it gets: the GGUF tensor's own, or the one it is decoded to.</param>
/// <param name="Transform">What makes it.</param>
internal sealed record MappedWeight(string Name, DType DType, WeightTransform Transform)
{
    /// <summary>The name under which it is given.</summary>
    public string GivenName => DType.IsBlock ? QuantisedName.OfWeight(Name) : Name;
}
