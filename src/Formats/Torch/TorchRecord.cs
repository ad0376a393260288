using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The roles of the globals of one pickle, each looked up once, and the arguments of records by their place. Not safe for
/// several threads.
/// </summary>
/// <param name="file">The file, for messages.</param>
internal sealed class TorchRecord(CheckpointFile file)
{
    private readonly Dictionary<PickleGlobal, TorchRole> _roles = [];

    /// <summary>What a global stands for.</summary>
    public TorchRole RoleOf(PickleGlobal global)
    {
        if (!_roles.TryGetValue(global, out var role))
        {
            _roles.Add(global, role = TorchGlobals.RoleOf(global));
        }

        return role;
    }

    /// <summary>An argument that must be there.</summary>
    /// <exception cref="InvalidCheckpointException">There are too few.</exception>
    public object Argument(PickleGlobal global, PickleTuple arguments, int index, TorchPath path) =>
        index < arguments.Items.Length
            ? arguments.Items[index]
            : throw Invalid(path, $"{global.FullName} has {arguments.Items.Length} arguments, and number {index + 1} is needed");

    /// <summary>The exception for a record of what could run code.</summary>
    /// <param name="record">The record, whose opcode is named.</param>
    /// <param name="problem">The whole sentence without its full stop.</param>
    public UnsafePickleException Unsafe(PickleObject record, string problem) =>
        new(record.Global.Module, record.Global.Name, record.Offset, file.Path, problem, TorchConstants.Format);

    /// <summary>The exception for a record that is not what its global needs.</summary>
    public InvalidCheckpointException Invalid(TorchPath path, string problem, CheckpointErrorCode code = CheckpointErrorCode.PickleInvalid) =>
        new(code, file.Path, $"{problem}; the file is broken or made to look like a checkpoint.", TorchConstants.Format, tensor: path.Name);
}
