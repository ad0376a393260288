namespace IlgpuLoader.Hosting;

/// <summary>What a request asks to be done with a model.</summary>
internal enum ModelAction
{
    Load,
    Reload,
    Unload,
}
