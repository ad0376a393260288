namespace IlgpuLoader.Loading;

/// <summary>Which layout a model gets (<c>--model-impl</c>).</summary>
public enum ModelImplementation
{
    /// <summary>The native layout of the architecture where there is one, else the generic one, with a warning.</summary>
    Auto,

    /// <summary>The native layout: packed, padded and split as the architecture asks for.</summary>
    Native,

    /// <summary>The generic layout: each tensor of the checkpoint is a parameter.</summary>
    Generic,
}
