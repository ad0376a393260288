namespace IlgpuLoader.Gpu;

/// <summary>Turns a value into a double without loss, in a kernel.</summary>
internal interface IWiden<in T>
    where T : unmanaged
{
    static abstract double ToDouble(T value);
}

internal readonly struct WidenSingle : IWiden<float>
{
    public static double ToDouble(float value) => value;
}

internal readonly struct WidenDouble : IWiden<double>
{
    public static double ToDouble(double value) => value;
}
