namespace IlgpuLoader.Gpu;

/// <summary>A float of eight bits that values are narrowed to.</summary>
public interface IFloat8Target : IFloat8
{
    /// <summary>The nearest value to an F32, given as its bits.</summary>
    /// <returns>The bits, zero-extended.</returns>
    static abstract int FromSingle(int value);
}
