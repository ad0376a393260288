namespace IlgpuLoader.Formats;

/// <summary>What a file that was audited is.</summary>
public enum AuditedContainer
{
    /// <summary>Nothing that is known.</summary>
    Unknown,
    /// <summary>A safetensors file, which holds no pickle.</summary>
    Safetensors,
    /// <summary>A GGUF file, which holds no pickle.</summary>
    Gguf,
    /// <summary>A zip archive of PyTorch's, as <c>torch.save</c> writes since 1.6.</summary>
    TorchArchive,
    /// <summary>A zip archive of a TorchScript module, with code that is never looked at.</summary>
    TorchScript,
    /// <summary>Five pickles with the storages behind them, as <c>torch.save</c> wrote before 1.6.</summary>
    TorchStream,
    /// <summary>A bare pickle.</summary>
    Pickle,
    /// <summary>An array of NumPy's, which holds a pickle where its elements are objects.</summary>
    NumpyArray,
    /// <summary>A zip archive of NumPy's arrays.</summary>
    NumpyArchive,
    /// <summary>Another zip archive.</summary>
    ZipArchive,
}
