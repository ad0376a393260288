namespace IlgpuLoader.Loading;

/// <summary>From which stored dtypes a parameter takes values of its own: what guards raw quantised numbers from being taken for weights.</summary>
public enum ParameterConversion
{
    /// <summary>From every dtype that there is a conversion from.</summary>
    Any,

    /// <summary>From floats and from blocks, which decode themselves; integers mean nothing without a scale.</summary>
    FromFloats,

    /// <summary>From the parameter's own dtype alone: its bits have a meaning that a conversion would lose.</summary>
    None,
}
