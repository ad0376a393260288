namespace IlgpuLoader.Gpu;

/// <summary>A float of six bits: its rule on bits. What <see cref="IUnitDecoder"/> says about bodies holds here too.</summary>
public interface IFloat6
{
    /// <summary>The bits of the F32 that the low six bits of <paramref name="stored"/> stand for.</summary>
    static abstract int ToSingle(int stored);
}
