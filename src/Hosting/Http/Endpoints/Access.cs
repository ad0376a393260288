namespace IlgpuLoader.Hosting;

/// <summary>Who may ask for something.</summary>
internal enum Access
{
    /// <summary>Everybody who reaches the host: it says nothing about what is loaded, or next to nothing.</summary>
    Anonymous,

    /// <summary>Everybody too, and by whatever name where others than this machine reach the host: it is how the process and its models are.</summary>
    Health,

    /// <summary>Who has the token, or this machine where all addresses are loopbacks.</summary>
    Read,

    /// <summary>Who has the token.</summary>
    Control,
}
