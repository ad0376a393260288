namespace IlgpuLoader.Formats.Torch;

/// <summary>A tensor that is to be written: name, type and shape; the bytes come later.</summary>
/// <param name="Name">The name: any text without half of a surrogate pair.</param>
/// <param name="DType">A type that PyTorch has.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
public sealed record TorchTensor(string Name, DType DType, Shape Shape)
{
    /// <summary>The tensor of the same file whose storage this one shares, with the same dtype and shape; null for a storage of its own.</summary>
    public string? TiedTo { get; init; }
}
