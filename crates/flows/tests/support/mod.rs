//! A PIN pad for whole roles under any frames.

use keyferry_flows::{
    Loaded, PadRefusal as LoadRefusal,
    device_certificate::{DevicePad, InstallRefusal},
    local_load::{LoadPad, messages::Randoms},
    rks_load::{
        IdentityPad,
        messages::{RksFactor, RksProof},
    },
    sign_in::{
        SignInPad,
        messages::{Mac, Rnd1 as SignInRnd1},
    },
    tmk_download::{
        DownloadPad, PadRefusal,
        messages::{Rnd1, TkReply},
    },
    tms_session::{OperatorPassword, PadOpening, PadProof, SealPad, TmsPad, messages::Sac1},
};
use wire::{BcdTime, Device, Frame, Kcv, Slot, TData};

/// A PIN pad that says yes to everything, so that the role itself is what refuses.
pub(crate) struct Yes;

impl DownloadPad for Yes {
    fn start(&mut self, _: Slot) -> Result<Rnd1, PadRefusal> {
        Ok(Rnd1([1; 8]))
    }

    fn challenge(&mut self, _: &Frame, _: &Frame) -> Result<TkReply, PadRefusal> {
        Ok(TkReply { crnd2: [2; 8] })
    }

    fn key(&mut self, _: &Frame, _: &Frame) -> Result<Loaded, PadRefusal> {
        Ok(Loaded::of(vec![Kcv::Tdes([3; 3])]))
    }

    fn done(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }
}

impl DevicePad for Yes {
    fn device_request(&mut self) -> Result<Vec<u8>, LoadRefusal> {
        Ok(vec![0x30, 0])
    }

    fn install_device_certificate(&mut self, _: &[u8], _: &[Vec<u8>]) -> Result<(), InstallRefusal> {
        Ok(())
    }
}

impl LoadPad for Yes {
    type Key = ();

    fn accept(&mut self, (): &(), _: &Frame, _: &Device) -> Result<Randoms, LoadRefusal> {
        Ok(Randoms { c_rnd1_rnd2: vec![1; 256] })
    }

    fn load(&mut self, _: &Frame, _: &Frame) -> Result<Loaded, LoadRefusal> {
        Ok(Loaded::of(vec![Kcv::Tdes([3; 3])]))
    }

    fn loaded(&mut self, _: &Frame, _: &Frame) -> Result<(), LoadRefusal> {
        Ok(())
    }
}

impl IdentityPad for Yes {
    type Key = ();

    fn begin(&mut self, _: Slot) -> Result<(), LoadRefusal> {
        Ok(())
    }

    fn factor(&mut self, (): &(), _: &Frame, _: &Frame) -> Result<RksFactor, LoadRefusal> {
        Ok(RksFactor { factor_ciphertext: vec![1; 256] })
    }

    fn proof(&mut self, _: &Frame, _: &Frame) -> Result<RksProof, LoadRefusal> {
        Ok(RksProof { proof_ciphertext: vec![2; 256] })
    }

    fn keys(&mut self, _: &Frame, _: &Frame) -> Result<Loaded, LoadRefusal> {
        Ok(Loaded::of(vec![Kcv::Tdes([3; 3])]))
    }

    fn done(&mut self, _: &Frame, _: &Frame) -> Result<(), LoadRefusal> {
        Ok(())
    }

    fn forget(&mut self) {}
}

impl TmsPad for Yes {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening, LoadRefusal> {
        Ok(PadOpening { t_data: TData::new([1; 4], when), opening: () })
    }

    fn tms_prove(
        &mut self,
        _: &Frame,
        _: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, LoadRefusal> {
        Ok(PadProof { proof: Sac1([2; 4]), operator: operator.map(|_| [3; 32]) })
    }

    fn tms_keys(&mut self, _: &Frame, _: &Frame) -> Result<Option<Loaded>, LoadRefusal> {
        Ok(Some(Loaded::of(vec![Kcv::Tdes([3; 3])])))
    }

    fn tms_done(&mut self, _: &Frame, _: &Frame) -> Result<(), LoadRefusal> {
        Ok(())
    }
}

impl SealPad for Yes {
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, LoadRefusal> {
        Ok(inner.to_vec())
    }

    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, LoadRefusal> {
        Ok(sealed.to_vec())
    }

    fn tms_blocks_left(&self) -> u64 {
        1 << 20
    }

    fn tms_forget(&mut self) {}
}

impl SignInPad for Yes {
    fn sign_in_begin(&mut self, _: Slot, _: u8) -> Result<(SignInRnd1, Kcv), LoadRefusal> {
        Ok((SignInRnd1([1; 8]), Kcv::Tdes([3; 3])))
    }

    fn sign_in_keys(&mut self, _: &Frame, _: &Frame) -> Result<Mac<8>, LoadRefusal> {
        Ok(Mac([4; 8]))
    }

    fn sign_in_done(&mut self, _: &Frame, _: &Frame) -> Result<Vec<Kcv>, LoadRefusal> {
        Ok(vec![Kcv::Tdes([3; 3]); 2])
    }

    fn sign_in_forget(&mut self) {}
}
