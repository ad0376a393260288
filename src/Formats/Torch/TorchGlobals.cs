using System.Collections.Frozen;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Which globals of a pickle are admitted: those of <c>weights_only</c> (torch/_weights_only_unpickler.py), NumPy's arrays,
/// and what TorchScript's archives have. Everything else is refused, or, where the caller allows it, an inert record; and a
/// few are refused even then. They are only ever names.
/// </summary>
/// <param name="admitsUnknown">Whether what is on no list becomes an inert record.</param>
/// <param name="isTorchScript">Whether the archive is TorchScript's, with classes of its own.</param>
internal sealed class TorchGlobals(bool admitsUnknown, bool isTorchScript)
{
    private const string Option = $"{nameof(TorchLimits)}.{nameof(TorchLimits.AllowUnknownGlobals)}";

    // Modules whose purpose is to run things; nothing in a checkpoint can mean them well (formats.md 3, first paragraph, and
    // what picklescan's advisories add). With all below them.
    private static readonly FrozenSet<string> RefusedModules = new[]
    {
        "os", "posix", "nt", "sys", "subprocess", "_posixsubprocess", "commands", "popen2", "pty", "runpy", "importlib", "_imp", "imp",
        "ctypes", "_ctypes", "shutil", "webbrowser", "code", "pdb", "bdb",
    }.ToFrozenSet();

    // What of Python's own functions runs, finds or changes code.
    private static readonly FrozenSet<string> RefusedBuiltins = new[]
    {
        "eval", "exec", "execfile", "compile", "open", "file", "input", "raw_input", "breakpoint", "getattr", "setattr", "delattr", "__import__",
        "__build_class__", "__loader__", "__spec__", "__dict__", "globals", "locals", "vars", "apply", "reload", "exit", "quit", "help", "memoryview",
    }.ToFrozenSet();

    private static readonly FrozenDictionary<string, Listed> List = Build().ToFrozenDictionary(entry => entry.Name, entry => entry.Listed);

    private readonly record struct Listed(PickleGlobalKind Kind, TorchRole Role);

    /// <summary>Whether a global is admitted, and as what.</summary>
    public PickleGlobalVerdict Verdict(string module, string name)
    {
        if (IsRefusedAlways(module, name))
        {
            return PickleGlobalVerdict.Refuse(
                "It runs code of the file's choosing and has no place in a checkpoint: no option admits it. Do not load this file with Python; "
                + "fetch the weights from a source you trust, as safetensors if there is one.");
        }

        if (List.TryGetValue(FullName(module, name), out var entry))
        {
            return PickleGlobalVerdict.Allow(entry.Kind);
        }

        if (isTorchScript && (module == "__torch__" || module.StartsWith("__torch__.", StringComparison.Ordinal)))
        {
            return PickleGlobalVerdict.Allow(PickleGlobalKind.Unknown);
        }

        return admitsUnknown
            ? PickleGlobalVerdict.Allow(PickleGlobalKind.Unknown)
            : PickleGlobalVerdict.Refuse(
                "It is not on the list of what checkpoints need. To read it as an inert record, of which nothing is executed either, "
                + $"pass --allow-unknown-globals ({Option}).");
    }

    /// <summary>How a record of a global is read.</summary>
    public static TorchRole RoleOf(PickleGlobal global) =>
        List.TryGetValue(FullName(global.Module, global.Name), out var entry) ? entry.Role : TorchRole.Inert;

    private static bool IsRefusedAlways(string module, string name)
    {
        var first = module.IndexOf('.', StringComparison.Ordinal) is var dot and >= 0 ? module[..dot] : module;
        if (RefusedModules.Contains(module) || RefusedModules.Contains(first))
        {
            return true;
        }

        // A dotted name goes on through the attributes of what it finds, and most modules have os or sys among theirs.
        return name.Contains('.', StringComparison.Ordinal)
            ? name.Split('.').Any(part => RefusedModules.Contains(part) || RefusedBuiltins.Contains(part))
            : module is "builtins" or "__builtin__" && RefusedBuiltins.Contains(name);
    }

    // One spelling: Python 2 wrote __builtin__, and NumPy 2 moved its core.
    private static string FullName(string module, string name) => module switch
    {
        "__builtin__" => "builtins." + name,
        "numpy._core.multiarray" => "numpy.core.multiarray." + name,
        "numpy._core.numeric" => "numpy.core.numeric." + name,
        _ => $"{module}.{name}",
    };

    private static IEnumerable<(string Name, Listed Listed)> Build()
    {
        (string Module, string Names, PickleGlobalKind Kind, TorchRole Role)[] rows =
        [
            ("collections", "OrderedDict Counter", PickleGlobalKind.Dictionary, TorchRole.Dictionary),
            ("builtins", "bytearray bytes", PickleGlobalKind.Class, TorchRole.Bytes),
            ("builtins", "set frozenset", PickleGlobalKind.Class, TorchRole.Items),
            ("builtins", "complex", PickleGlobalKind.Class, TorchRole.Complex),
            ("_codecs", "encode", PickleGlobalKind.Function, TorchRole.Encode),
            ("torch", "Size", PickleGlobalKind.Class, TorchRole.Items),
            ("torch", "device", PickleGlobalKind.Class, TorchRole.Device),
            ("torch", "Tensor", PickleGlobalKind.Class, TorchRole.Inert),
            ("torch.nn.parameter", "Parameter", PickleGlobalKind.Class, TorchRole.Parameter),
            ("torch.serialization", "_get_layout", PickleGlobalKind.Function, TorchRole.Layout),
            ("torch._utils", "_rebuild_tensor _rebuild_tensor_v2", PickleGlobalKind.Function, TorchRole.Tensor),
            ("torch._utils", "_rebuild_tensor_v3", PickleGlobalKind.Function, TorchRole.TypedTensor),
            ("torch._utils", "_rebuild_parameter _rebuild_parameter_with_state", PickleGlobalKind.Function, TorchRole.Parameter),
            ("torch._utils", "_rebuild_qtensor", PickleGlobalKind.Function, TorchRole.QuantisedTensor),
            ("torch._utils", "_rebuild_sparse_tensor _rebuild_sparse_csr_tensor", PickleGlobalKind.Function, TorchRole.SparseTensor),
            ("torch._utils", "_rebuild_nested_tensor", PickleGlobalKind.Function, TorchRole.NestedTensor),
            ("torch._utils", "_rebuild_device_tensor_from_numpy _rebuild_xla_tensor", PickleGlobalKind.Function, TorchRole.TensorOfArray),
            ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", PickleGlobalKind.Function, TorchRole.TensorOfTensor),
            ("torch._utils", "_rebuild_meta_tensor_no_storage _rebuild_wrapper_subclass", PickleGlobalKind.Function, TorchRole.NoData),
            ("torch._tensor", "_rebuild_from_type _rebuild_from_type_v2", PickleGlobalKind.Function, TorchRole.TensorOfType),
            ("torch", "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc _mkldnn jagged", PickleGlobalKind.Constant, TorchRole.Name),
            ("torch", "contiguous_format channels_last channels_last_3d preserve_format", PickleGlobalKind.Constant, TorchRole.Name),
            ("torch", "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric per_channel_affine_float_qparams", PickleGlobalKind.Constant, TorchRole.Name),
            ("torch.storage", "TypedStorage _TypedStorage _UntypedStorage", PickleGlobalKind.Constant, TorchRole.Storage),
            ("torch", "TypedStorage _TypedStorage _UntypedStorage", PickleGlobalKind.Constant, TorchRole.Storage),
            ("torch.jit._pickle", "build_intlist build_doublelist build_boollist build_tensorlist", PickleGlobalKind.Function, TorchRole.Items),
            ("torch.jit._pickle", "restore_type_tag", PickleGlobalKind.Function, TorchRole.Tagged),
            ("torch.jit._pickle", "build_tensor_from_id", PickleGlobalKind.Function, TorchRole.NoData),
            ("numpy.core.multiarray", "_reconstruct", PickleGlobalKind.Class, TorchRole.Array),
            ("numpy.core.multiarray", "scalar", PickleGlobalKind.Function, TorchRole.Scalar),
            ("numpy.core.numeric", "_frombuffer", PickleGlobalKind.Function, TorchRole.ArrayOfBuffer),
            ("numpy", "ndarray", PickleGlobalKind.Class, TorchRole.Inert),
            ("numpy", "dtype", PickleGlobalKind.Class, TorchRole.ArrayType),
        ];
        foreach (var (module, names, kind, role) in rows)
        {
            foreach (var name in names.Split(' '))
            {
                yield return ($"{module}.{name}", new Listed(kind, role));
            }
        }

        foreach (var dtype in TorchDType.ByName.Keys)
        {
            yield return ($"torch.{dtype}", new Listed(PickleGlobalKind.Constant, TorchRole.DType));
        }

        foreach (var storage in TorchDType.ByStorage.Keys)
        {
            var entry = new Listed(PickleGlobalKind.Constant, TorchRole.Storage);
            yield return ($"torch.{storage}", entry);
            yield return ($"torch.cuda.{storage}", entry);
            yield return ($"torch.storage.{storage}", entry);
        }

        // Classes of tensors, which subclasses and old files name (torch._tensor_classes).
        foreach (var type in (string[])["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"])
        {
            foreach (var module in (string[])["torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse"])
            {
                yield return ($"{module}.{type}Tensor", new Listed(PickleGlobalKind.Class, TorchRole.Inert));
            }
        }
    }
}
