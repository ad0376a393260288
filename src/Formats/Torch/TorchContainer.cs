namespace IlgpuLoader.Formats.Torch;

/// <summary>What a PyTorch file is made of.</summary>
public enum TorchContainer
{
    /// <summary>A zip archive, as <c>torch.save</c> writes since 1.6.</summary>
    Zip,
    /// <summary>A zip archive of a TorchScript module, as <c>torch.jit.save</c> writes; its code is never looked at.</summary>
    TorchScript,
    /// <summary>Five pickles and the storages behind them, as <c>torch.save</c> wrote before 1.6.</summary>
    Stream,
    /// <summary>A pickle that PyTorch did not write, with arrays of NumPy in it.</summary>
    Pickle,
}
